"""Counts what the status forgets: the seconds for which scaling or a start is held, and replicas that turn about.

Looks at all objects every few seconds, whoever scales them. The counts are with the leader, and go with the object.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import Counter

from llmfleet.api.conditions import ConditionType, Reason
from llmfleet.controller.cache import Cache
from llmfleet.kube.resources import Key
from llmfleet.scaling.clock import Clock

PERIOD = 5.0
"""Seconds between two looks."""


@dataclass
class Entry:
    """What was seen of one object."""

    replicas: int
    is_rising: bool | None = None
    """The direction of the last change; None before the first one."""
    held: set[tuple[str, str]] = field(default_factory=set)
    """What was held at some time, and why: its series."""


@dataclass
class Chronicle:
    """One for all objects."""

    cache: Cache
    held_seconds: Counter
    """Labels: namespace, name, held, reason."""
    reversals: Counter
    """Labels: namespace, name."""
    is_leader: Callable[[], bool]
    clock: Clock
    _entries: dict[Key, Entry] = field(default_factory=dict)

    async def run(self) -> None:
        """Look, for ever."""
        before = self.clock.monotonic()
        while True:
            await self.clock.sleep(PERIOD)
            now = self.clock.monotonic()
            self.look(now - before)
            before = now

    def look(self, seconds: float) -> None:
        """Add these seconds to whatever is held now, count turns, and forget who is gone."""
        here = list(self.cache.objects.items) if self.is_leader() else []
        for key in self._entries.keys() - set(here):
            self._forget(key)
        for key in here:
            self._turn(key)
            for held, reason in self._held(key):
                self.held_seconds.labels(*key, held, reason).inc(seconds)
                self._entries[key].held.add((held, reason))

    def _turn(self, key: Key) -> None:
        """Count a change in the other direction than the one before; the series begins with the first look."""
        target = self.cache.objects.newest(key)
        replicas = target.spec.get("replicas", 1) if target else 0
        entry, counted = self._entries.setdefault(key, Entry(replicas)), self.reversals.labels(*key)
        if replicas != entry.replicas:
            is_rising = replicas > entry.replicas
            counted.inc(entry.is_rising is not None and is_rising != entry.is_rising)
            entry.replicas, entry.is_rising = replicas, is_rising

    def _held(self, key: Key) -> Iterator[tuple[str, str]]:
        target, live = self.cache.objects.newest(key), self.cache.deployments.newest(key)
        for condition in (target.status.get("conditions") or []) if target else []:
            is_scaling = condition["type"] == ConditionType.SCALING_ACTIVE and condition["reason"] != Reason.DISABLED
            if is_scaling and condition["status"] != "True":
                yield "scaling", condition["reason"]
        if live is not None and live.hold is not None and live.hold.is_pausing(self.clock.wall()):
            yield "start", live.hold.reason.value

    def _forget(self, key: Key) -> None:
        for held, reason in self._entries.pop(key).held:
            self.held_seconds.remove(*key, held, reason)
        self.reversals.remove(*key)
