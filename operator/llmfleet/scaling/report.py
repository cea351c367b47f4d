"""What the loop tells the controller of one object, for its status. Pure data."""

from dataclasses import dataclass

from llmfleet.api.status import Recommendation, ScalingStatus
from llmfleet.scaling.ports import Replacement

CAPACITY_TOLERANCE = 0.01
"""Share by which the KV caches of an object's replicas may differ without being told: profiling is not exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Told again only when something in it is new."""

    scaling: ScalingStatus | None = None
    """None for an object that is not scaled."""
    kv_cache_tokens: int | None = None
    """Capacity of one replica's KV cache."""
    version: str = ""
    """vLLM's version as the youngest engine tells it; empty: none told."""
    hung: tuple[str, ...] = ()
    """A sentence for each replica whose engine hangs and that is still there."""
    replaced: tuple[Replacement, ...] = ()
    """The last replacements of hung replicas, newest first."""
    recommendations: tuple[Recommendation, ...] = ()
    """What the last hours speak for."""


def capacity(known: int | None, seen: int | None) -> int | None:
    """The capacity to tell: the one that was told, unless another one was seen."""
    if seen is None or (known is not None and abs(seen - known) <= CAPACITY_TOLERANCE * known):
        return known
    return seen
