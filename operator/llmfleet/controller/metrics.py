"""The operator's own metrics, each declared once (those of scaling are in scaling/metrics.py)."""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # a second series for each counter, that nobody reads

BUILD_INFO = Gauge("llmfleet_build_info", "Always 1; the label holds the version of the operator.", ["version"])
LEADER = Gauge("llmfleet_leader", "1 while this process holds the Lease and may write.")
RECONCILES = Counter("llmfleet_reconcile", "Passes over one object, by how they ended.", ["result"])
RECONCILE_SECONDS = Histogram(
    "llmfleet_reconcile_seconds",
    "Duration of one pass over one object.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
)
QUEUE_DEPTH = Gauge("llmfleet_queue_depth", "Objects that wait for a pass that is due.")
ERRORS = Counter("llmfleet_errors", "Passes that failed: transient, invalid, bug.", ["kind"])
API_WRITES = Counter("llmfleet_api_writes", "Requests to change something in the API server.", ["verb", "resource"])
WATCH_AGE = Gauge("llmfleet_watch_age_seconds", "Seconds since a watch was heard of last.", ["resource"])
REPLICAS = Gauge("llmfleet_replicas", "Replicas of an LLMDeployment.", ["namespace", "name", "state"])

REPLICA_STATES = ("wanted", "current", "ready")
"""Values of the label `state`."""


def set_replicas(namespace: str, name: str, *, wanted: int, current: int, ready: int) -> None:
    """Publish the replica counts of one object."""
    for state, value in zip(REPLICA_STATES, (wanted, current, ready), strict=True):
        REPLICAS.labels(namespace, name, state).set(value)


def forget(namespace: str, name: str) -> None:
    """Drop the series of an object that is gone."""
    for state in REPLICA_STATES:
        if (namespace, name, state) in REPLICAS._metrics:  # noqa: SLF001 - remove() raises for an unknown series
            REPLICAS.remove(namespace, name, state)
