"""The series of objects that follow from the caches, worked out when they are asked for: nothing to keep or to forget.

Of the leader alone, so that a sum over the operator's pods counts each object once. What is unknown has no series.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import ValidationError

from llmfleet.api.v1alpha1 import ScalingSpec
from llmfleet.controller.cache import Cache
from llmfleet.controller.observed import DeploymentView
from llmfleet.kube.objects import ObjectView
from llmfleet.kube.resources import Key
from llmfleet.scaling.config import ScalingConfig

Sample = tuple[tuple[str, ...], float]
"""Label values after namespace and name, and the value."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One object at the moment of a scrape."""

    target: ObjectView
    live: DeploymentView | None
    now: float
    """Unix time, seconds."""
    kv_target: float | None
    """KV usage that its scaling aims at; None where nobody scales."""

    def status(self, part: str) -> dict[str, Any]:
        """A part of the stored status; empty where there is none."""
        found: dict[str, Any] = self.target.status.get(part) or {}
        return found

    @property
    def scaling(self) -> dict[str, Any]:
        """spec.scaling; empty where there is none."""
        found: dict[str, Any] = self.target.spec.get("scaling") or {}
        return found

    @property
    def planned(self) -> int | None:
        """Tokens of the KV cache as planned."""
        return _whole(self.status("plan").get("kvCacheTokens"))

    @property
    def measured(self) -> int | None:
        """Tokens of the KV cache as a running engine says."""
        return _whole(self.status("plan").get("measuredKvCacheTokens"))


@dataclass(frozen=True)
class Series:
    """One family; its first labels are namespace and name."""

    name: str
    text: str
    samples: Callable[[Seen], Iterator[Sample]]
    labels: tuple[str, ...] = ()

    def family(self) -> GaugeMetricFamily:
        """A family without samples."""
        return GaugeMetricFamily(self.name, self.text, labels=("namespace", "name", *self.labels))


class FleetCollector(Collector):
    """One look at the caches for each scrape."""

    def __init__(self, cache: Cache, *, is_leader: Callable[[], bool], wall: Callable[[], float]) -> None:
        self._cache = cache
        self._is_leader = is_leader
        self._wall = wall
        self._targets: dict[Key, tuple[str, int, float | None]] = {}
        """uid, generation, and what follows from them: to read a spec costs more than all other series of an object."""

    def collect(self) -> Iterable[Metric]:
        """All series."""
        seen = list(self._look()) if self._is_leader() else []
        for series in SERIES:
            family = series.family()
            for one in seen:
                for labels, value in series.samples(one):
                    family.add_metric([one.target.namespace, one.target.name, *labels], value)
            yield family

    def _look(self) -> Iterator[Seen]:
        now = self._wall()
        self._targets = {key: known for key, known in self._targets.items() if key in self._cache.objects.items}
        for key in list(self._cache.objects.items):
            target = self._cache.objects.newest(key)
            if target is not None:
                yield Seen(target, self._cache.deployments.newest(key), now, self._kv_target(key, target))

    def _kv_target(self, key: Key, target: ObjectView) -> float | None:
        """Worked out once for each generation."""
        uid, generation, known = self._targets.get(key, ("", 0, None))
        if (uid, generation) != (target.uid, target.generation):
            known = _kv_target(target)
            self._targets[key] = (target.uid, target.generation, known)
        return known


def _kv_target(target: ObjectView) -> float | None:
    scaling = target.spec.get("scaling")
    if not scaling:
        return None
    try:
        spec = ScalingSpec.model_validate(scaling)
    except ValidationError:  # a stored object that today's rules would refuse
        return None
    return ScalingConfig.from_spec(spec).targets.kv_usage


def _replicas(seen: Seen) -> Iterator[Sample]:
    if seen.live is not None:
        yield ("wanted",), seen.live.wanted
        yield ("current",), seen.live.current
        yield ("ready",), seen.live.ready


def _condition(seen: Seen) -> Iterator[Sample]:
    for condition in seen.target.status.get("conditions") or []:
        yield (condition["type"], condition["status"], condition["reason"]), 1


def _info(seen: Seen) -> Iterator[Sample]:
    model = (seen.target.spec.get("model") or {}).get("source", "")
    yield (model, seen.target.status.get("gpuProfile") or "", seen.status("engine").get("version") or ""), 1


def _start_held(seen: Seen) -> Iterator[Sample]:
    if seen.live is not None:
        yield (), seen.live.hold is not None and seen.live.hold.is_pausing(seen.now)


def _startup(seen: Seen) -> Iterator[Sample]:
    seconds = _whole(seen.status("engine").get("startupSeconds"))
    if seconds is not None:
        yield (), seconds


def _tokens(seen: Seen) -> Iterator[Sample]:
    for source, tokens in (("planned", seen.planned), ("measured", seen.measured)):
        if tokens is not None:
            yield (source,), tokens


def _difference(seen: Seen) -> Iterator[Sample]:
    if seen.planned and seen.measured is not None:
        yield (), seen.measured / seen.planned - 1


def _bounds(seen: Seen) -> Iterator[Sample]:
    for bound, field in (("min", "minReplicas"), ("max", "maxReplicas")):
        number = _whole(seen.scaling.get(field))
        if number is not None:
            yield (bound,), number


def _target(seen: Seen) -> Iterator[Sample]:
    if seen.kv_target is not None:
        yield (), seen.kv_target


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


SERIES = (
    Series(
        "llmfleet_replicas", "Replicas: wanted by the Deployment, current (existing), ready.", _replicas, ("state",)
    ),
    Series("llmfleet_condition", "1 for each condition as it stands.", _condition, ("type", "status", "reason")),
    Series(
        "llmfleet_llmdeployment_info",
        "Always 1; the labels say what is served, and on what.",
        _info,
        ("model", "gpu_profile", "engine_version"),
    ),
    Series(
        "llmfleet_start_held",
        "1 while a start that failed alike again and again waits for its next try.",
        _start_held,
    ),
    Series(
        "llmfleet_last_startup_seconds",
        "From container start to Ready of the replica that became ready last.",
        _startup,
    ),
    Series(
        "llmfleet_kv_cache_tokens",
        "Tokens that the KV cache of one replica holds: planned, and measured.",
        _tokens,
        ("source",),
    ),
    Series(
        "llmfleet_kv_cache_plan_difference_ratio",
        "How much more (below 0: less) the KV cache holds than was planned; 0.1 is a tenth.",
        _difference,
    ),
    Series("llmfleet_kv_cache_usage_target_ratio", "KV-cache usage that scaling aims at, 0..1.", _target),
    Series("llmfleet_scaling_bound_replicas", "spec.scaling.minReplicas and maxReplicas.", _bounds, ("bound",)),
)
"""All of them, in the order of the table in operator/README.md."""
