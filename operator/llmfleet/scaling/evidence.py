"""What the rules of recommendations look at, and from when on it counts. Pure.

Two thresholds each: one from which something is recommended, one at which that ends, so that a load near the threshold
does not make recommendations come and go.
"""

from collections.abc import Collection
from dataclasses import dataclass

from llmfleet.api.conditions import Advice
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.ports import EngineFacts
from llmfleet.scaling.window import Seen

HOUR = 3600.0
DAY_SECONDS = 20 * HOUR
"""Least time before something is called too large: nights are quiet. The window spans 20 to 24 hours."""
OFTEN, SELDOM = 0.05, 0.02
"""Share of the time from which a shortage is worth a change (three minutes in an hour, an hour and twelve minutes in a
day), and below which it no longer is."""
RARE = 0.01
"""Share of the time that does not count as use: the peak of quarter of an hour in a day."""
LOW_PEAK, LOW_PEAK_ENDS = 0.25, 0.35
"""KV usage below which a cache is called too large: half the cache would then still be half empty at the peak, and 0.5
is the Balanced target; and above which it no longer is."""
LEAST_WORKING = 0.05
"""Share of the time with requests in execution from which usage says something about the load."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One change of the spec."""

    reason: Advice
    message: str
    target: float = 0.0
    """The value that it proposes; 0 where it proposes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the rules look at."""

    seen: Seen
    facts: EngineFacts
    config: ScalingConfig | None
    replicas: int
    kv_cache_tokens: int | None = None
    kv_cache_dtype: str | None = None
    """As the engine states it."""
    prefix_caching: bool | None = None
    """As the engine states it."""
    standing: Collection[Advice] = ()
    """What is recommended already."""

    @property
    def span(self) -> str:
        """Over which time."""
        return f"in the last {max(1, round(self.seen.seconds / HOUR))} h"

    def often(self, seconds: float, reason: Advice) -> bool:
        """Whether these replica seconds are a shortage."""
        return self.seen.share(seconds) >= (SELDOM if reason in self.standing else OFTEN)

    def is_roomy(self, reason: Advice) -> bool:
        """Whether KV usage was low for a day, with load and without queues."""
        peak = LOW_PEAK_ENDS if reason in self.standing else LOW_PEAK
        return (
            self.seen.seconds >= DAY_SECONDS
            and self.seen.kv_below(1 - RARE) <= peak
            and self.seen.share(self.seen.waiting) < RARE
            and self.seen.share(self.seen.working) >= LEAST_WORKING
        )


def percent(ratio: float) -> str:
    """In words; never 0 %."""
    return f"{max(1, round(100 * ratio))} %"
