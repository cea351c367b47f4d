"""The operator's own metrics about scaling. Series of an object go with the object."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from llmfleet.api.conditions import Reason
from llmfleet.scaling.fleet import Totals
from llmfleet.scaling.policy import Decision
from llmfleet.scaling.ports import ObjectRef

HELD = frozenset(
    {Reason.HELD_MISSING_METRICS, Reason.HELD_STALE, Reason.HELD_AFTER_RESTART, Reason.REPLICAS_OWNED_ELSEWHERE}
)
"""Reasons under which replicas do not follow the load."""
_OBJECT = ("namespace", "name")


class ScalingMetrics:
    """All series of the autoscaler in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, (*_OBJECT, *labels), registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*_OBJECT, *labels), registry=registry)

        self.kv_usage = gauge("llmfleet_kv_cache_usage_ratio", "Mean KV-cache usage of the replicas, 0..1.")
        self.running = gauge("llmfleet_requests_running", "Requests in execution, all replicas together.")
        self.waiting = gauge("llmfleet_requests_waiting", "Requests in the queues, all replicas together.")
        self.held = gauge("llmfleet_scaling_held", "1 while replicas do not follow the load; the status says why.")
        self.decisions = counter("llmfleet_scaling_decisions_total", "Decisions of the autoscaler.", "reason")
        self.scrapes = counter("llmfleet_scrapes_total", "Looks at engines' metrics.", "result")
        self.replica_seconds = counter("llmfleet_replica_seconds_total", "Seconds times pods that hold a place.")
        self.hung = gauge("llmfleet_hung_replicas", "Replicas whose engine hangs and that are still there.")
        self.hangs = counter("llmfleet_hung_engines_total", "Engines that were found to hang.")
        self.recommendations = gauge(
            "llmfleet_recommendation", "1 for each change of the spec that is recommended.", "reason"
        )
        self.errors = Counter(
            "llmfleet_scaling_errors_total", "Failures of the scaling loop.", ("stage",), registry=registry
        )
        self.overruns = Counter(
            "llmfleet_scaling_overruns_total",
            "Cycles that took longer than their period.",
            ("stage",),
            registry=registry,
        )
        self._per_object = (self.kv_usage, self.running, self.waiting, self.held, self.hung, self.recommendations)
        self._counted = (self.decisions, self.scrapes, self.replica_seconds, self.hangs)

    def seen(self, ref: ObjectRef, totals: Totals) -> None:
        """Show what the engines say; unknown signals are absent and not 0."""
        labels = (ref.namespace, ref.name)
        signals = ((self.kv_usage, totals.kv_mean), (self.running, totals.running), (self.waiting, totals.waiting))
        for gauge, value in signals:
            if value is None:
                gauge.remove(*labels)
            else:
                gauge.labels(*labels).set(value)

    def decided(self, ref: ObjectRef, decision: Decision, *, pod_seconds: float) -> None:
        """Show a decision."""
        labels = (ref.namespace, ref.name)
        self.held.labels(*labels).set(decision.reason in HELD)
        self.decisions.labels(*labels, decision.reason.value).inc()
        self.replica_seconds.labels(*labels).inc(pod_seconds)

    def recommended(self, ref: ObjectRef, reasons: Iterable[str]) -> None:
        """Show what is recommended now."""
        self.recommendations.remove_by_labels({"namespace": ref.namespace, "name": ref.name})
        for reason in reasons:
            self.recommendations.labels(ref.namespace, ref.name, reason).set(1)

    def scraped(self, ref: ObjectRef, result: str) -> None:
        """Count a look at a pod: `ok`, or the kind of error."""
        self.scrapes.labels(ref.namespace, ref.name, result).inc()

    def forget(self, ref: ObjectRef) -> None:
        """Remove every series of an object that is gone."""
        labels = {"namespace": ref.namespace, "name": ref.name}
        for metric in (*self._per_object, *self._counted):
            metric.remove_by_labels(labels)
