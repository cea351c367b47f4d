"""A cycle over many objects is spread over its period; one over few is not."""

import asyncio

import pytest

from llmfleet.scaling.turns import BATCH, turns
from tests.unit.scaling.world import VirtualClock

SECONDS = 4.0


async def times(count: int, *, expected: int) -> list[float]:
    """When each of `count` objects had its turn, in seconds since the cycle began."""
    clock = VirtualClock()
    began = clock.now

    async def cycle() -> list[float]:
        due = turns(range(count), expected=expected, seconds=SECONDS, clock=clock)
        return [clock.now - began async for _ in due]

    running = asyncio.create_task(cycle())
    await clock.advance(SECONDS)
    return await asyncio.wait_for(running, timeout=10)


async def test_few_have_their_turn_at_once() -> None:
    assert await times(BATCH, expected=BATCH) == [0.0] * BATCH


async def test_many_are_spread_evenly() -> None:
    found = await times(10 * BATCH, expected=10 * BATCH)
    assert found[::BATCH] == pytest.approx([0.4 * number for number in range(10)])
    assert found[BATCH - 1 :: BATCH] == pytest.approx(found[::BATCH])


@pytest.mark.parametrize(("expected", "last"), [(0, 0.0), (2 * BATCH, SECONDS)])
async def test_more_than_expected_come_without_delay(expected: int, last: float) -> None:
    """At the first cycle nobody knows how many there are; later on some may have come."""
    assert (await times(5 * BATCH, expected=expected))[-1] == pytest.approx(last)
