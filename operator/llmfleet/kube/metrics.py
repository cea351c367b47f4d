"""What is counted where the API server is spoken to; declared here, shown by the operator (controller/metrics.py)."""

from prometheus_client import Counter, Gauge, disable_created_metrics

disable_created_metrics()  # a second series for each counter, that nobody reads; on every page of the process

LEADER = Gauge("llmfleet_leader", "1 while this process holds the Lease and may write.")
API_WRITES = Counter("llmfleet_api_writes", "Requests to change something in the API server.", ["verb", "resource"])
