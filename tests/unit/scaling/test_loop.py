"""The loop that serves all objects: order of writes, leadership, failures that stay where they are, time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from llmfleet.api.settings import ScalingSettings
from llmfleet.scaling.loop import ECHO_SECONDS, ScalingLoop
from llmfleet.scaling.metrics import ScalingMetrics
from llmfleet.scaling.ports import Conflict, ScaledObject
from llmfleet.scaling.scrape import ErrorKind, ScrapeError
from llmfleet.scaling.state import Change
from tests.unit.scaling.builders import DELAY, PERIOD, page
from tests.unit.scaling.world import OTHER, REF, START, World


@asynccontextmanager
async def running(world: World, is_leader: Callable[[], bool] | None = None) -> AsyncIterator[ScalingLoop]:
    loop = ScalingLoop(
        directory=world,
        actuator=world,
        scraper=world,
        settings=ScalingSettings(),
        clock=world.clock,
        metrics=ScalingMetrics(world.registry),
        is_leader=is_leader or (lambda: world.leader),
        on_report=lambda ref, report: world.reports.append((ref, report)),
    )
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


FULL = page(kv_usage=1.0, running=100.0)
IDLE = page(kv_usage=0.01)


async def test_a_load_step_is_written_within_one_period() -> None:
    world = World()
    world.add(REF, IDLE)
    async with running(world):
        await world.clock.advance(60)
        world.pages["chat-0"] = FULL
        await world.clock.advance(PERIOD + 1)
        assert world.writes == [("scale", "chat", 2, "1")]
        _, report = world.reports[-1]
        assert report.status.desired_replicas == 2
        assert report.status.history[0].time == report.status.last_scale_time == "2026-11-22T17:21:06Z"
        await world.clock.advance(DELAY)
        assert len(world.writes) == 1, "the second replica is starting; nothing is asked for twice"


async def test_victims_are_marked_before_the_number_falls() -> None:
    world = World()
    world.add(REF, page(kv_usage=0.02, running=3.0), IDLE, page(kv_usage=0.02, running=2.0))
    async with running(world):
        await world.clock.advance(DELAY)
        assert world.writes == []
        await world.clock.advance(2 * PERIOD)
    assert world.writes == [("costs", "chat", {"chat-1": -2, "chat-2": -1}), ("scale", "chat", 1, "1")]


async def test_only_the_leader_looks_and_writes() -> None:
    world = World(leader=False)
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(60)
        assert (world.looked, world.writes, world.reports) == ([], [], [])
        world.leader = True
        await world.clock.advance(PERIOD + 1)
        assert world.writes == [("scale", "chat", 2, "1")]


async def test_a_new_leader_takes_nothing_away_for_one_delay() -> None:
    world = World()
    world.add(REF, IDLE, IDLE)
    async with running(world):
        await world.clock.advance(DELAY - PERIOD)
        world.leader = False
        await world.clock.advance(PERIOD)
        assert world.value("llmfleet_scaling_held", namespace="team", name="chat") is None
        world.leader = True
        await world.clock.advance(DELAY)
        assert world.writes == []
        assert world.reports[-1][1].status.reason == "HeldAfterRestart"
        await world.clock.advance(2 * PERIOD)
        assert world.writes[-1] == ("scale", "chat", 1, "1")


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
        assert world.reports[0][1].status.history == (), "what was not written is no history"
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


async def test_a_bad_object_harms_no_other() -> None:
    world = World()
    world.add(REF, FULL)
    world.change(REF, config=None)
    world.add(OTHER, FULL)
    async with running(world):
        await world.clock.advance(2)
    assert world.writes == [("scale", "other", 2, "1")]
    assert world.value("llmfleet_scaling_errors_total", stage="decide") == 1


async def test_a_write_that_hangs_delays_nobody_and_is_not_doubled() -> None:
    world = World()
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(0.5)
        world.gate = asyncio.Event()
        await world.clock.advance(4 * PERIOD)
        assert world.value("llmfleet_scaling_decisions_total", namespace="team", name="chat", reason="Scaling") == 1
        world.gate.set()
        await world.clock.advance(PERIOD)
    assert world.writes == [("scale", "chat", 2, "1")]


async def test_a_pod_is_looked_at_once_at_a_time() -> None:
    world = World(gate=asyncio.Event())
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(6 * PERIOD)
        assert len(world.looked) == 1


async def test_after_a_write_nothing_is_decided_until_it_is_seen() -> None:
    """A watch that lags shows the old number: to decide on it would be to fight with oneself."""
    world = World(echo=False)
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(ECHO_SECONDS)
        assert len(world.writes) == 1
        await world.clock.advance(2 * PERIOD)
        assert len(world.writes) == 2, "and if it never comes back, it is written again"


async def test_pods_that_timed_out_are_suspects_until_they_answer() -> None:
    world = World()
    world.add(REF, ScrapeError(ErrorKind.TIMEOUT))
    async with running(world):
        await world.clock.advance(2 * PERIOD)
        world.pages["chat-0"] = IDLE
        await world.clock.advance(2 * PERIOD)
    assert [suspect for _, suspect in world.looked] == [False, True, True, True, False]
    assert world.value("llmfleet_scrapes_total", namespace="team", name="chat", result="timeout") == 3


async def test_pods_that_cannot_be_asked_are_not_looked_at() -> None:
    world = World()
    world.add(REF, IDLE, IDLE, IDLE)
    first, second, third = world.things[REF].pods
    pods = (replace(first, ready=False), replace(second, terminating=True), replace(third, ip=""))
    world.change(REF, pods=pods)
    async with running(world):
        await world.clock.advance(PERIOD)
    assert world.looked == []


async def test_metrics_that_stop_hold_the_replicas() -> None:
    world = World()
    world.add(REF, IDLE, IDLE)
    async with running(world):
        await world.clock.advance(DELAY - 50)
        world.pages["chat-1"] = ScrapeError(ErrorKind.STATUS, "404")
        await world.clock.advance(2 * DELAY)
        assert world.writes == []
        assert world.reports[-1][1].status.reason == "HeldStale"
        assert world.value("llmfleet_scaling_held", namespace="team", name="chat") == 1


async def test_a_restarted_container_is_another_process() -> None:
    """Its predecessor's numbers are not taken for its own."""
    world = World()
    world.add(REF, IDLE)
    async with running(world):
        await world.clock.advance(2 * PERIOD)
        world.pages["chat-0"] = ScrapeError(ErrorKind.CONNECT)
        world.change(REF, pods=(replace(world.things[REF].pods[0], started_at=START),))
        await world.clock.advance(PERIOD)
        assert world.reports[-1][1].status.reason == "HeldMissingMetrics"


async def test_everything_of_an_object_goes_with_it() -> None:
    world = World()
    world.add(REF, page(kv_usage=0.3, running=7.0))
    world.add(OTHER, IDLE)
    async with running(world) as loop:
        await world.clock.advance(3 * PERIOD)
        assert world.value("llmfleet_requests_running", namespace="team", name="chat") == 7
        assert world.value("llmfleet_replica_seconds_total", namespace="team", name="chat") == 2 * PERIOD
        del world.things[REF]
        await world.clock.advance(PERIOD)
        assert list(loop._objects) == [OTHER]
    left = [sample.labels.get("name") for family in world.registry.collect() for sample in family.samples]
    assert "chat" not in left
    assert "other" in left


async def test_unknown_is_absent_from_the_metrics() -> None:
    world = World()
    world.add(REF, IDLE)
    async with running(world):
        await world.clock.advance(PERIOD)
        assert world.value("llmfleet_kv_cache_usage_ratio", namespace="team", name="chat") == 0.01
        world.pages["chat-0"] = ScrapeError(ErrorKind.CONNECT)
        await world.clock.advance(6 * PERIOD)
        assert world.value("llmfleet_kv_cache_usage_ratio", namespace="team", name="chat") is None


async def test_a_quiet_fleet_is_reported_twice_and_never_again() -> None:
    """At first sight and when its restart window ends; what the controller does not hear of, it does not write."""
    world = World()
    world.add(REF, IDLE)
    async with running(world):
        await world.clock.advance(DELAY + 60)
        heard = len(world.reports)
        await world.clock.advance(3600)
    assert heard <= 2
    assert len(world.reports) == heard


async def test_history_of_an_earlier_operator_is_kept() -> None:
    world = World()
    world.add(REF, FULL)
    earlier = Change("2026-11-22T08:00:00Z", 3, 1, "memory", "3 -> 1 replica")
    world.change(REF, history=(earlier,))
    async with running(world):
        await world.clock.advance(2)
        history = world.reports[-1][1].status.history
    assert [(change.from_, change.to) for change in history] == [(1, 2), (3, 1)]


async def test_a_cycle_that_is_too_long_is_told_and_the_missed_ones_are_left_out() -> None:
    world = World()
    world.add(REF, IDLE)

    class Slow(World):
        def objects(self) -> Iterable[ScaledObject]:
            self.clock.now += 12.0
            return super().objects()

    slow = Slow(clock=world.clock, things=world.things, pages=world.pages)
    async with running(slow):
        await slow.clock.advance(1)
        overruns = slow.value("llmfleet_scaling_overruns_total", stage="scrape") or 0
    assert overruns >= 1


async def test_a_directory_that_fails_ends_nothing() -> None:
    class Flaky(World):
        def objects(self) -> Iterable[ScaledObject]:
            if self.clock.now < 1012:
                raise RuntimeError("cache is not filled yet")
            return super().objects()

    world = Flaky()
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(20)
    assert world.writes == [("scale", "chat", 2, "1")]
    assert world.value("llmfleet_scaling_errors_total", stage="decide") == 3
