"""One cycle of looks at engines: a task for each, at most one under way for each pod, and how long the cycle took.

Between scrape and track: the loop says whom to look at, what was seen goes into the pod's memory.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from llmfleet.scaling.clock import Clock
from llmfleet.scaling.memory import PodMemory
from llmfleet.scaling.metrics import ScalingMetrics
from llmfleet.scaling.ports import ObjectRef, PodRef
from llmfleet.scaling.scrape import ErrorKind, ScrapeError
from llmfleet.scaling.track import Sample, observe

_log = logging.getLogger(__name__)


class Looks(Protocol):
    """What is needed of a Scraper."""

    def scrape(self, pod: PodRef, *, suspect: bool) -> Awaitable[Sample | ScrapeError]:
        """Look at one pod."""
        ...

    def version(self, pod: PodRef) -> Awaitable[str]:
        """Ask one pod for its vLLM version."""
        ...


class Round:
    """One cycle, which begins when it is made."""

    def __init__(
        self, scraper: Looks, *, clock: Clock, metrics: ScalingMetrics, is_known: Callable[[ObjectRef], bool]
    ) -> None:
        self._scraper = scraper
        self._clock = clock
        self._metrics = metrics
        self._is_known = is_known
        """Whether an object is still there: the series of one that is gone must not come back."""
        self._began = clock.monotonic()
        self._started: list[asyncio.Task[None]] = []

    def start(self, tasks: asyncio.TaskGroup, ref: ObjectRef, pod: PodRef, known: PodMemory) -> None:
        """Look at a pod, unless the last look at it is not over yet."""
        if known.looking:
            self._metrics.missed.inc()
        else:
            known.looking = True
            self._started.append(tasks.create_task(self._look_at(ref, pod, known)))

    async def answered(self) -> None:
        """Wait for the last answer."""
        if self._started:
            await asyncio.wait(self._started)

    async def end(self) -> None:
        """Wait for the last answer, and show how long the cycle took."""
        if self._started:
            await self.answered()
            self._metrics.cycles.labels("scrape").observe(self._clock.monotonic() - self._began)

    async def _look_at(self, ref: ObjectRef, pod: PodRef, known: PodMemory) -> None:
        try:
            found = await self._scraper.scrape(pod, suspect=known.suspect)
            if known.version is None and isinstance(found, Sample):
                known.version = await self._scraper.version(pod)
        except Exception:  # noqa: BLE001 (a bug met on one pod's page must not end the loop for all)
            _log.exception("scaling: looking at %s/%s failed", ref.namespace, pod.name)
            self._metrics.errors.labels("scrape").inc()
            return
        finally:
            known.looking = False
        if isinstance(found, Sample):
            known.track, known.suspect = observe(known.track, found), False
        else:
            known.suspect = found.kind is ErrorKind.TIMEOUT
        if self._is_known(ref):
            self._metrics.scraped(ref, "ok" if isinstance(found, Sample) else found.kind.value)
