"""A keyed work queue: each key once, never twice at the same time, failures backed off with jitter.

`Schedule` is the pure part (time and chance are arguments); `WorkQueue` runs it in the event loop.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heappop, heappush

from llmfleet.kube.errors import TransientError
from llmfleet.kube.resources import Key

CONCURRENCY = 16
BACKOFF_FIRST = 1.0
BACKOFF_MOST = 300.0
HEARTBEAT = 5.0
"""Seconds after which the loop looks again even if nothing is due."""


class Rank(IntEnum):
    """Which of the keys that are due come first: users wait for their pods, nobody for a figure in a status."""

    RENEWED = 0
    """The spec is new, and no pass has begun to look at it."""
    UNFINISHED = 1
    """The last pass left something to be made."""
    OTHER = 2


@dataclass
class Schedule:
    """Which key is due when. Times are seconds of any steady clock."""

    due: dict[Key, float] = field(default_factory=dict)
    failures: dict[Key, int] = field(default_factory=dict)
    active: set[Key] = field(default_factory=set)
    _ranks: dict[Key, Rank] = field(default_factory=dict)
    """Of keys that come before others."""
    _heaps: dict[Rank, list[tuple[float, Key]]] = field(default_factory=lambda: {rank: [] for rank in Rank})
    """May hold times and ranks that are no longer true."""

    def add(self, key: Key, *, at: float) -> None:
        """Ask for a pass; the earlier of two wishes wins. A key that is backed off waits for its time."""
        if self.failures.get(key) and key in self.due:
            return
        self._set(key, min(at, self.due.get(key, at)))

    def renew(self, key: Key, *, at: float) -> None:
        """Ask for a pass because the object's spec is new: earlier failures say nothing about it."""
        self.failures.pop(key, None)
        at = min(at, self.due.pop(key, at))
        self._ranks[key] = Rank.RENEWED
        self._set(key, at)

    def take(self, now: float) -> Key | None:
        """The key that comes first and has been due longest, of those that nobody works on; now it is worked on."""
        for rank in Rank:
            at = self._first_due(rank)
            if at is not None and at <= now:
                _, key = heappop(self._heaps[rank])
                del self.due[key]
                self._ranks.pop(key, None)
                self.active.add(key)
                return key
        return None

    def succeed(self, key: Key, *, again_at: float | None, is_unfinished: bool = False) -> None:
        """A pass has ended well; come back at a time, or when something happens."""
        self.failures.pop(key, None)
        if is_unfinished:
            self._ranks.setdefault(key, Rank.UNFINISHED)
        self._free(key)
        if again_at is not None:
            self.add(key, at=again_at)

    def fail(self, key: Key, *, now: float, chance: float, at_least: float = 0.0) -> float:
        """A pass has failed: come back after 1, 2, 4 ... 300 seconds, between half and the whole of it.

        Args:
            key: the object.
            now: the present time.
            chance: a random number from 0 to 1.
            at_least: seconds that the API server asked for.

        Returns:
            The delay in seconds; 0 if the spec is a new one since: the failure says nothing about it.
        """
        if self._rank(key) is Rank.RENEWED:
            self._free(key)
            return 0.0
        count = self.failures.get(key, 0)
        self.failures[key] = count + 1
        longest = min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(count, 20))
        delay = max(at_least, longest * (0.5 + chance / 2))
        self.due[key] = now + delay
        self._free(key)
        return delay

    def next_due(self) -> float | None:
        """When the next key that is not worked on is due."""
        found = [at for rank in Rank if (at := self._first_due(rank)) is not None]
        return min(found, default=None)

    def depth(self, now: float) -> int:
        """Keys that are due and wait."""
        return sum(at <= now for at in self.due.values())

    def _first_due(self, rank: Rank) -> float | None:
        """When the next key of a rank is due."""
        heap = self._heaps[rank]
        while heap:
            at, key = heap[0]
            if self.due.get(key) == at and key not in self.active and self._rank(key) is rank:
                return at
            heappop(heap)  # superseded, or worked on: `_free` puts that one back
        return None

    def _set(self, key: Key, at: float) -> None:
        if self.due.get(key) != at:
            self.due[key] = at
            heappush(self._heaps[self._rank(key)], (at, key))

    def _rank(self, key: Key) -> Rank:
        return self._ranks.get(key, Rank.OTHER)

    def _free(self, key: Key) -> None:
        """The key is no longer worked on; wishes that came meanwhile count."""
        self.active.discard(key)
        if key in self.due:
            heappush(self._heaps[self._rank(key)], (self.due[key], key))


Handler = Callable[[Key], Awaitable[float | None]]
"""One pass; gives the seconds after which another one is wanted, or None. 0: this one left something to be made."""


class WorkQueue:
    """Runs the handler for each key that is due, several keys at a time."""

    def __init__(self, *, concurrency: int = CONCURRENCY) -> None:
        self.schedule = Schedule()
        self.beat = 0.0
        """Loop time of the last sign of life."""
        self.opened = asyncio.Event()
        """Set once everything that was there at the start is known; nothing is worked on before."""
        self._concurrency = concurrency
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], float] = {}

    def add(self, key: Key, *, after: float = 0.0) -> None:
        """Ask for a pass in some seconds."""
        self.schedule.add(key, at=_now() + after)
        self._wake.set()

    def renew(self, key: Key) -> None:
        """Ask for a pass at once, with the failure count back at zero."""
        self.schedule.renew(key, at=_now())
        self._wake.set()

    def oldest_pass(self) -> float:
        """Seconds for which the longest pass has been running."""
        return max((_now() - started for started in self._running.values()), default=0.0)

    async def run(self, handler: Handler) -> None:
        """Work until cancelled; then let the passes that have begun come to their end."""
        await self.opened.wait()
        try:
            while True:
                self.beat = _now()
                self._wake.clear()
                while len(self._running) < self._concurrency and (key := self.schedule.take(_now())) is not None:
                    self._start(key, handler)
                await self._rest()
        finally:
            if self._running:
                await asyncio.wait(self._running)

    def _start(self, key: Key, handler: Handler) -> None:
        task = asyncio.create_task(self._pass(key, handler), name=f"reconcile {key[0]}/{key[1]}")
        self._running[task] = _now()
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()

    async def _rest(self) -> None:
        """Sleep until something is due, arrives or ends."""
        pause = HEARTBEAT
        next_due = self.schedule.next_due()
        if next_due is not None and len(self._running) < self._concurrency:
            pause = min(pause, max(0.0, next_due - _now()))
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _pass(self, key: Key, handler: Handler) -> None:
        try:
            again = await handler(key)
        except Exception as error:  # noqa: BLE001 - the handler has logged it; one object never stops the others
            wait = error.retry_after or 0.0 if isinstance(error, TransientError) else 0.0
            self.schedule.fail(key, now=_now(), chance=random.random(), at_least=wait)  # noqa: S311 - jitter
        else:
            self.schedule.succeed(key, again_at=None if again is None else _now() + again, is_unfinished=again == 0)


def _now() -> float:
    return asyncio.get_running_loop().time()
