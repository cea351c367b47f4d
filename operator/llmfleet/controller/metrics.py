"""The operator's own metrics, each declared once (those of scaling are in scaling/metrics.py)."""

import time
from collections.abc import Callable, Iterable

from prometheus_client import Counter, Gauge, Histogram, Metric, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from llmfleet.controller.cache import Cache

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
START_FAILURES = Counter(
    "llmfleet_start_failures",
    "Engines that ended before their pod was ever ready, by cause.",
    ["namespace", "name", "reason"],
)
API_WRITES = Counter("llmfleet_api_writes", "Requests to change something in the API server.", ["verb", "resource"])
WATCH_AGE = Gauge("llmfleet_watch_age_seconds", "Seconds since a watch was heard of last.", ["resource"])


class FleetCollector(Collector):
    """Replicas of every LLMDeployment and held starts, read from the cache when they are asked for: nothing to keep.

    Of the leader alone, so that a sum over the operator's pods counts each object once.
    """

    def __init__(self, cache: Cache, *, is_leader: Callable[[], bool]) -> None:
        self._cache = cache
        self._is_leader = is_leader

    def collect(self) -> Iterable[Metric]:
        """All series."""
        family = GaugeMetricFamily(
            "llmfleet_replicas",
            "Replicas of an LLMDeployment: wanted by its Deployment, existing, ready.",
            labels=["namespace", "name", "state"],
        )
        held = GaugeMetricFamily(
            "llmfleet_start_held",
            "1 while the start of an LLMDeployment that failed alike again and again waits for its next try.",
            labels=["namespace", "name"],
        )
        known = list(self._cache.deployments.items.items()) if self._is_leader() else []
        now = time.time()
        for (namespace, name), deployments in known:
            for live in deployments.values():
                for state, value in (("wanted", live.wanted), ("current", live.current), ("ready", live.ready)):
                    family.add_metric([namespace, name, state], value)
                held.add_metric([namespace, name], live.hold is not None and live.hold.is_pausing(now))
        yield from (family, held, self._planned())

    def _planned(self) -> Metric:
        """KV caches, from the stored statuses."""
        family = GaugeMetricFamily(
            "llmfleet_kv_cache_tokens",
            "Tokens that the KV cache of one replica holds: as planned, and as measured.",
            labels=["namespace", "name", "source"],
        )
        for namespace, name in list(self._cache.objects.items) if self._is_leader() else []:
            target = self._cache.objects.newest((namespace, name))
            plan = target.status.get("plan") or {} if target else {}
            for source, key in (("planned", "kvCacheTokens"), ("measured", "measuredKvCacheTokens")):
                if isinstance(tokens := plan.get(key), int):
                    family.add_metric([namespace, name, source], tokens)
        return family
