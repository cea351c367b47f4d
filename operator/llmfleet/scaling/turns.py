"""Whose turn it is, and when: a cycle over many objects is spread over its period instead of done in one burst.

The loop takes looks and decisions in the same order and at the same pace, so each object is decided on the same short
time after its own look, be it the first or the thousandth, and the rest of the process gets its turns in between.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from llmfleet.scaling.clock import Clock

T = TypeVar("T")

BATCH = 20
"""Objects that have their turn together: fewer objects than these are never made to wait."""


async def turns(objects: Iterable[T], *, expected: int, seconds: float, clock: Clock) -> AsyncIterator[T]:
    """The objects, each when it is due.

    Args:
        objects: asked for the next one only when it is due.
        expected: how many there are about; those beyond come at the end, without a pause.
        seconds: time over which they are spread.
        clock: for the pauses.
    """
    began = clock.monotonic()
    for number, one in enumerate(objects):
        if number and number % BATCH == 0:
            share = min(1.0, number / expected) if expected else 0.0
            await clock.sleep(max(0.0, began + share * seconds - clock.monotonic()))
        yield one
        await asyncio.sleep(0)  # others' turn
