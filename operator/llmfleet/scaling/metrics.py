"""The operator's own metrics about scaling. Series of an object go with the object; what is unknown has none."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from llmfleet.api.conditions import Reason
from llmfleet.scaling.fleet import Totals
from llmfleet.scaling.policy import Decision
from llmfleet.scaling.ports import ObjectRef, WatchedObject

HELD = frozenset(
    {Reason.HELD_MISSING_METRICS, Reason.HELD_STALE, Reason.HELD_AFTER_RESTART, Reason.REPLICAS_OWNED_ELSEWHERE}
)
"""Reasons under which replicas do not follow the load."""
_OBJECT = ("namespace", "name")
_TO_MILLIONS_PER_HOUR = 3600 / 1e6


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
        self.tokens = gauge(
            "llmfleet_tokens_per_second",
            "Tokens of the last minute, all replicas together: prompt (those from the prefix cache too), generation.",
            "kind",
        )
        self.gpus = gauge("llmfleet_gpus", "GPUs of pods that hold a place: serving, starting or draining.", "profile")
        self.cost = gauge("llmfleet_cost_usd_per_hour", "Price of the pods that hold a place, by their profile.")
        self.cost_of_tokens = gauge(
            "llmfleet_cost_usd_per_million_tokens",
            "That price over the prompt and generation tokens of the last minute; none without traffic.",
        )
        self.asked = gauge("llmfleet_scaling_asked_replicas", "Replicas that the load asks for, before the bounds.")
        self.utilization = gauge(
            "llmfleet_utilization_ratio",
            "Share of the replicas' time that arriving requests take, by the step-time model; above 1: too much.",
        )
        self.held = gauge("llmfleet_scaling_held", "1 while replicas do not follow the load; the status says why.")
        self.decisions = counter("llmfleet_scaling_decisions_total", "Decisions of the autoscaler.", "reason")
        self.scrapes = counter("llmfleet_scrapes_total", "Looks at engines' metrics.", "result")
        self.replica_seconds = counter("llmfleet_replica_seconds_total", "Seconds times pods that hold a place.")
        self.hung = gauge("llmfleet_hung_replicas", "Replicas whose engine hangs and that are still there.")
        self.hangs = counter("llmfleet_hung_engines_total", "Engines that were found to hang.")
        self.replaced = counter("llmfleet_hung_engines_replaced_total", "Pods that were deleted because of that.")
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
        self.missed = Counter(
            "llmfleet_scaling_missed_looks_total",
            "Looks that were left out because the last one at the same pod was still under way.",
            registry=registry,
        )
        self.cycles = Histogram(
            "llmfleet_scaling_cycle_seconds",
            "Duration of a cycle over all objects: scrape, until the last answer; decide.",
            ("stage",),
            buckets=(0.1, 0.5, 1, 2, 3, 4, 4.5, 5, 7.5, 10, 30),
            registry=registry,
        )
        self._profiles: dict[tuple[str, str], str] = {}

    @property
    def per_object(self) -> tuple[Gauge | Counter, ...]:
        """What goes with its object."""
        return tuple(
            metric
            for metric in self.all
            if isinstance(metric, Gauge | Counter) and metric not in {self.errors, self.overruns, self.missed}
        )

    @property
    def all(self) -> tuple[Gauge | Counter | Histogram, ...]:
        """Every family, in the order of the table in operator/README.md."""
        return tuple(metric for metric in vars(self).values() if isinstance(metric, Gauge | Counter | Histogram))

    def seen(self, watched: WatchedObject, totals: Totals) -> None:
        """Show what the engines say, and what they cost."""
        labels = (watched.ref.namespace, watched.ref.name)
        _show(self.kv_usage, labels, totals.kv_mean)
        _show(self.running, labels, totals.running)
        _show(self.waiting, labels, totals.waiting)
        _show(self.tokens, (*labels, "prompt"), totals.prompt_tokens_per_second)
        _show(self.tokens, (*labels, "generation"), totals.generation_tokens_per_second)
        hardware, price = watched.hardware, watched.hardware.price_per_hour
        before = self._profiles.get(labels)
        if before and before != hardware.profile:
            self.gpus.remove(*labels, before)
        self._profiles[labels] = hardware.profile
        if hardware.profile:
            self.gpus.labels(*labels, hardware.profile).set(hardware.gpus * watched.holding)
        cost = None if price is None else price * watched.holding
        _show(self.cost, labels, cost)
        _show(self.cost_of_tokens, labels, cost_per_million_tokens(cost, totals))

    def watched(self, ref: ObjectRef, *, hung: int) -> None:
        """Show how many replicas hang. The counters begin with the first look, so that a rate sees the first hang."""
        labels = (ref.namespace, ref.name)
        self.hung.labels(*labels).set(hung)
        self.hangs.labels(*labels)
        self.replaced.labels(*labels)

    def decided(self, ref: ObjectRef, decision: Decision, *, pod_seconds: float) -> None:
        """Show a decision."""
        labels = (ref.namespace, ref.name)
        self._asked(labels, max((term.replicas for term in decision.terms), default=None), pod_seconds)
        _show(self.utilization, labels, decision.totals.utilization)
        self.held.labels(*labels).set(decision.reason in HELD)
        self.decisions.labels(*labels, decision.reason.value).inc()

    def followed(self, ref: ObjectRef, asked: int | None, *, pod_seconds: float) -> None:
        """Show what the load asks for, where another one decides; its conditions say whether it is held."""
        labels = (ref.namespace, ref.name)
        self._asked(labels, asked, pod_seconds)
        self.held.remove(*labels)
        self.utilization.remove(*labels)

    def _asked(self, labels: tuple[str, str], asked: int | None, pod_seconds: float) -> None:
        _show(self.asked, labels, asked)
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
        self._profiles.pop((ref.namespace, ref.name), None)
        labels = {"namespace": ref.namespace, "name": ref.name}
        for metric in self.per_object:
            metric.remove_by_labels(labels)


def cost_per_million_tokens(cost_per_hour: float | None, totals: Totals) -> float | None:
    """US dollars for a million tokens at the present rate.

    All pods that hold a place are paid for, whatever they do, so a half-empty fleet is dear; prompt and generation
    tokens count alike. None where the price is unknown, nothing is served, or a replica's rate is not known: the sum
    would then be too small, and the figure too high.
    """
    prompt, generation = totals.prompt_tokens_per_second, totals.generation_tokens_per_second
    if cost_per_hour is None or totals.observed < totals.ready or prompt is None or generation is None:
        return None
    millions_per_hour = (prompt + generation) * _TO_MILLIONS_PER_HOUR
    return cost_per_hour / millions_per_hour if millions_per_hour else None


def _show(gauge: Gauge, labels: tuple[str, ...], value: float | None) -> None:
    if value is None:
        gauge.remove(*labels)
    else:
        gauge.labels(*labels).set(value)
