"""What the loop writes: in which order, once, and what becomes of writes that fail, hang or come too late."""

import asyncio

from llmfleet.scaling.loop import ECHO_SECONDS
from llmfleet.scaling.ports import Conflict
from tests.unit.scaling.builders import DELAY, PERIOD, page
from tests.unit.scaling.world import FULL, IDLE, OTHER, REF, World, running


async def test_victims_are_marked_before_the_number_falls() -> None:
    world = World()
    world.add(REF, page(kv_usage=0.02, running=3.0), IDLE, page(kv_usage=0.02, running=2.0))
    async with running(world):
        await world.clock.advance(DELAY)
        assert world.writes == []
        await world.clock.advance(2 * PERIOD)
    assert world.writes == [("costs", "chat", {"chat-1": -2, "chat-2": -1}), ("scale", "chat", 1, "1")]


async def test_leadership_lost_between_decision_and_write() -> None:
    world, answers = World(), iter([True, True, False])
    world.add(REF, FULL)
    async with running(world, lambda: next(answers, False)):
        await world.clock.advance(PERIOD)
    assert world.writes == []


async def test_a_failing_write_harms_nobody_else_and_is_tried_again() -> None:
    world = World(broken={REF: RuntimeError("no route to API server")})
    world.add(REF, FULL)
    world.add(OTHER, FULL)
    async with running(world):
        await world.clock.advance(2)
        assert world.writes == [("scale", "other", 2, "1")]
        assert world.value("llmfleet_scaling_errors_total", stage="write") == 1
        assert world.said(0).history == (), "what was not written is no history"
        world.broken.clear()
        await world.clock.advance(PERIOD)
        assert world.writes[-1] == ("scale", "chat", 2, "1")


async def test_a_conflict_is_decided_anew() -> None:
    world = World(broken={REF: Conflict("changed")})
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(2)
        world.broken.clear()
        world.change(REF, replicas=5)
        await world.clock.advance(PERIOD)
        assert world.writes == []
        assert world.value("llmfleet_scaling_errors_total", stage="conflict") == 1


async def test_a_change_that_is_in_the_way_of_a_write_costs_no_period() -> None:
    """As our own status, which is often written just before: decided anew as soon as the watch shows it."""
    world = World(broken={REF: Conflict("changed")})
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(1)
        world.broken.clear()
        world.change(REF)
        await world.clock.advance(0.2)
        assert world.writes == [("scale", "chat", 2, "2")]
        assert world.value("llmfleet_scaling_errors_total", stage="conflict") == 1


async def test_an_object_that_changes_all_the_time_is_decided_anew_once_a_period() -> None:
    world = World(broken={REF: Conflict("changed")})
    world.add(REF, FULL)
    async with running(world):
        for _ in range(100):
            world.change(REF)
            await world.clock.advance(0.1)
        conflicts = world.value("llmfleet_scaling_errors_total", stage="conflict")
        assert conflicts is not None
        assert 2 <= conflicts <= 2 * 10 / PERIOD + 1


async def test_what_goes_while_its_conflict_is_looked_into_is_left_alone() -> None:
    world = World(broken={REF: Conflict("changed")})
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(1)
        world.things.clear()
        world.broken.clear()
        await world.clock.advance(2 * PERIOD)
        assert world.writes == []


async def test_a_bad_object_harms_no_other() -> None:
    world = World()
    world.add(REF, FULL)
    world.change(REF, config="not a configuration")
    world.add(OTHER, FULL)
    async with running(world):
        await world.clock.advance(2)
    assert world.writes == [("scale", "other", 2, "1")]
    assert world.value("llmfleet_scaling_errors_total", stage="decide") == 1


async def test_a_write_that_hangs_delays_nobody_and_is_not_doubled() -> None:
    world = World()
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(0.25)
        world.gate = asyncio.Event()
        await world.clock.advance(4 * PERIOD)
        assert world.value("llmfleet_scaling_decisions_total", namespace="team", name="chat", reason="Scaling") == 1
        world.gate.set()
        await world.clock.advance(PERIOD)
    assert world.writes == [("scale", "chat", 2, "1")]


async def test_after_a_write_nothing_is_decided_until_it_is_seen() -> None:
    """A watch that lags shows the old number: to decide on it would be to fight with oneself."""
    world = World(echo=False)
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(ECHO_SECONDS)
        assert len(world.writes) == 1
        await world.clock.advance(2 * PERIOD)
        assert len(world.writes) == 2, "and if it never comes back, it is written again"
