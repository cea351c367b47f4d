"""Counts the seconds for which scaling or a start is held, by reason: what the status says now, over time.

The status forgets; an average over a day needs a counter. It stands with the leader and goes with the object.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import Counter

from llmfleet.api.conditions import ConditionType, Reason
from llmfleet.controller.cache import Cache
from llmfleet.controller.queue import Key
from llmfleet.scaling.clock import Clock

PERIOD = 5.0
"""Seconds between two looks."""


@dataclass
class HeldTime:
    """Looks at all objects every few seconds."""

    cache: Cache
    counter: Counter
    """Labels: namespace, name, held, reason."""
    is_leader: Callable[[], bool]
    clock: Clock
    _series: dict[Key, set[tuple[str, str]]] = field(default_factory=dict)
    """What was counted of each object: what is held, and why."""

    async def run(self) -> None:
        """Count, for ever."""
        before = self.clock.monotonic()
        while True:
            await self.clock.sleep(PERIOD)
            now = self.clock.monotonic()
            self.count(now - before)
            before = now

    def count(self, seconds: float) -> None:
        """Add these seconds to whatever is held now, and forget who is gone."""
        here = self.cache.objects.items if self.is_leader() else {}
        for key in [key for key in self._series if key not in here]:
            for held, reason in self._series.pop(key):
                self.counter.remove(*key, held, reason)
        for key in list(here):
            for held, reason in self._held(key):
                self.counter.labels(*key, held, reason).inc(seconds)
                self._series.setdefault(key, set()).add((held, reason))

    def _held(self, key: Key) -> Iterator[tuple[str, str]]:
        target, live = self.cache.objects.newest(key), self.cache.deployments.newest(key)
        for condition in (target.status.get("conditions") or []) if target else []:
            is_scaling = condition["type"] == ConditionType.SCALING_ACTIVE and condition["reason"] != Reason.DISABLED
            if is_scaling and condition["status"] != "True":
                yield "scaling", condition["reason"]
        if live is not None and live.hold is not None and live.hold.is_pausing(self.clock.wall()):
            yield "start", live.hold.reason.value
