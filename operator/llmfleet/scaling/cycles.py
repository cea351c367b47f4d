"""A cycle each period, on time, whatever one of them comes to: what drives the loop's looks and decisions."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from llmfleet.scaling.clock import Clock
from llmfleet.scaling.metrics import ScalingMetrics

Cycle = Callable[[asyncio.TaskGroup], Awaitable[None]]
"""One cycle; what it starts goes into the group, and may outlive it."""

_log = logging.getLogger(__name__)


async def every(period: float, stage: str, cycle: Cycle, *, clock: Clock, metrics: ScalingMetrics) -> None:
    """Start a cycle each period, for ever. One that takes longer is told, and the missed ones are left out.

    Args:
        period: seconds from one start to the next.
        stage: what the cycle does, in a word; for the log and the metrics.
        cycle: what is done.
        clock: tells the time, and sleeps.
        metrics: count cycles that failed, and that took too long.
    """
    async with asyncio.TaskGroup() as tasks:
        due = clock.monotonic()
        while True:
            try:
                await cycle(tasks)
            except Exception:  # noqa: BLE001 (a directory that fails must not end the loop)
                _log.exception("scaling: the %s cycle failed", stage)
                metrics.errors.labels(stage).inc()
            due += period
            late = clock.monotonic() - due
            if late > 0:
                _log.warning("scaling: the %s cycle took %.1f s longer than its %.1f s", stage, late, period)
                metrics.overruns.labels(stage).inc()
                due += late
            await clock.sleep(due - clock.monotonic())
