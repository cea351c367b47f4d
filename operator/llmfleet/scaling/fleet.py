"""One object's replicas as the policy sees them at one moment. Pure data, and the sums over it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from llmfleet.scaling.capacity import Capacity
from llmfleet.scaling.signals import PodSignals, Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One pod."""

    name: str
    ready: bool = True
    terminating: bool = False
    """Deleted and finishing its requests: neither capacity nor load."""
    unschedulable: bool = False
    """No node has room for it."""
    created_at: float = 0.0
    """Unix time, seconds."""
    deletion_cost: int = 0
    """What the pod's annotation says now."""
    signals: PodSignals = field(default_factory=PodSignals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the replicas that were seen; None where nobody knows."""

    ready: int
    observed: int
    """Ready replicas with fresh metrics."""
    kv_mean: float | None = None
    """Mean KV usage, 0..1."""
    utilization: float | None = None
    """Share of the ready replicas' time that the load takes, by the step-time model; above 1: more than they have."""
    running: float | None = None
    waiting: float | None = None
    preemptions_per_minute: float | None = None
    prompt_tokens_per_second: float | None = None
    generation_tokens_per_second: float | None = None
    kv_cache_tokens: int | None = None
    """Capacity of one replica's KV cache: the smallest that was seen."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """One object. What follows from its replicas is worked out once, when it is asked for first."""

    current: int
    """spec.replicas: what was asked for last, by whomever. Replicas that are not ready yet are part of it."""
    replicas: tuple[Replica, ...] = ()
    replicas_manager: str = ""
    """Field manager that wrote spec.replicas last."""
    suspended: bool = False
    quota_exceeded: str = ""
    """The cluster's words where it refuses to make more pods, else empty."""
    inputs: str = ""
    """Hash of all that the pods are made from: another one means engines of another speed."""
    capacity: Capacity | None = None
    """What a replica can carry by the step-time model, and the load; None while too little was seen."""
    demanded: bool = False
    """Requests wait in an activator."""
    wakeable: bool = False
    """An activator answers for the object: at zero it would hold requests, and say so."""
    service_rate: float | None = None
    """Requests per second that one replica served when it last had more than it could do; None if that was never."""

    @cached_property
    def serving(self) -> tuple[Replica, ...]:
        """Replicas that take requests. Metrics of any others are no part of a decision."""
        return tuple(replica for replica in self.replicas if replica.ready and not replica.terminating)

    @cached_property
    def unknown(self) -> tuple[Replica, ...]:
        """Serving replicas whose load is not known for certain."""
        return tuple(replica for replica in self.serving if replica.signals.quality is not Quality.FRESH)

    @property
    def unschedulable(self) -> int:
        """Replicas that wait for room in the cluster."""
        return sum(replica.unschedulable and not replica.terminating for replica in self.replicas)

    @cached_property
    def totals(self) -> Totals:
        """What is shown to people."""
        seen = [replica.signals for replica in self.serving]
        kv = known([signals.kv for signals in seen])
        preemptions = total([signals.preemption_rate for signals in seen])
        return Totals(
            ready=len(seen),
            observed=sum(signals.quality is Quality.FRESH for signals in seen),
            kv_mean=sum(kv) / len(kv) if kv else None,
            utilization=self.capacity.work / len(seen) if self.capacity and seen else None,
            running=total([signals.running for signals in seen]),
            waiting=total([signals.waiting for signals in seen]),
            preemptions_per_minute=None if preemptions is None else 60 * preemptions,
            prompt_tokens_per_second=total([signals.prompt_rate for signals in seen]),
            generation_tokens_per_second=total([signals.generation_rate for signals in seen]),
            kv_cache_tokens=self.kv_cache_tokens,
        )

    @property
    def kv_cache_tokens(self) -> int | None:
        """Capacity of one replica's KV cache: the smallest that was seen."""
        sizes = [one.signals.kv_cache_tokens for one in self.serving]
        return min((size for size in sizes if size is not None), default=None)


def known(values: Iterable[float | None]) -> list[float]:
    """The values that are known."""
    return [value for value in values if value is not None]


def total(values: Iterable[float | None]) -> float | None:
    """The sum of what is known; None where nothing is."""
    numbers = known(values)
    return sum(numbers) if numbers else None
