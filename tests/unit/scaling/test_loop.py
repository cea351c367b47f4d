"""The loop that serves all objects: looks, decisions, leadership, reports, time."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.engine.speed import Speed, Start
from llmfleet.scaling.loop import WAKE_PERIOD
from llmfleet.scaling.ports import EngineFacts, WatchedObject
from llmfleet.scaling.scrape import ErrorKind, ScrapeError
from llmfleet.scaling.state import Change
from tests.unit.scaling.builders import DELAY, PERIOD, config, page
from tests.unit.scaling.world import FULL, IDLE, OTHER, REF, START, World, running


async def test_a_load_step_is_written_within_one_period() -> None:
    world = World()
    world.add(REF, IDLE)
    async with running(world):
        await world.clock.advance(60)
        world.pages["chat-0"] = FULL
        await world.clock.advance(PERIOD + 1)
        assert world.writes == [("scale", "chat", 2, "1")]
        status = world.said()
        assert status.desired_replicas == 2
        assert status.history[0].time == status.last_scale_time == "2026-11-22T17:21:05Z"
        await world.clock.advance(DELAY)
        assert len(world.writes) == 1, "the second replica is starting; nothing is asked for twice"


async def test_an_object_at_zero_is_woken_between_two_decisions() -> None:
    """And once: until the write has come back, nothing is written again."""
    world = World(echo=False)
    world.add(REF, replicas=0)
    world.change(REF, config=replace(config(), idle_to_zero=600.0), wakeable=True)
    async with running(world):
        await world.clock.advance(PERIOD + 1.5)
        assert world.writes == []
        world.things[REF] = replace(world.things[REF], demanded=True)
        await world.clock.advance(WAKE_PERIOD)
        assert [write[:3] for write in world.writes] == [("scale", "chat", 1)]
        assert world.said().history[0].reason == "demand"
        await world.clock.advance(2 * PERIOD)
        assert len(world.writes) == 1


async def test_who_does_not_lead_wakes_nobody() -> None:
    world = World(leader=False)
    world.add(REF, replicas=0)
    world.change(REF, config=replace(config(), idle_to_zero=600.0), wakeable=True, demanded=True)
    async with running(world):
        await world.clock.advance(PERIOD)
    assert world.writes == []


def busy_page(arrived: float) -> EngineMetrics:
    """An engine that keeps up: requests of 1,000 and 100 tokens, and what does not end within a second waits."""
    return page(
        kv_usage=0.05,
        running=6.0,
        kv_size_tokens=100_000,
        finished=arrived,
        prompt_tokens=1000 * arrived,
        generation_tokens=100 * arrived,
        steps=100 * arrived / 6,
    )


async def test_a_step_in_the_middle_of_a_look_is_looked_at_again_and_answered_at_once() -> None:
    """The look sees a part of the step, another one three seconds later its height: one write of the whole number.

    2.5 s before a look eight times as many requests begin to come; the mean of the look would ask for two replicas.
    """
    world, arrived = World(), 0.0
    world.add(REF, busy_page(arrived))
    world.change(REF, config=replace(config(), start=Start(Speed(4.9e-3, 2.4e-5, 3.5e-8), 0.35)))
    async with running(world):
        for tenth in range(1, 1400):
            arrived += 1.5 if tenth <= 1225 else 12.0
            world.pages["chat-0"] = busy_page(arrived)
            if tenth == 1270:
                world.change(REF)  # as by our own status, which says that the step is left open
            await world.clock.advance(0.1)
        assert [write[2] for write in world.writes] == [4]
        assert world.writes[0][3] == "3", "the object as it is at the second look, so that there is no conflict"
        assert world.said().history[0].time == "2026-11-22T17:22:08Z"
        assert world.said().history[0].reason == "work"


async def test_the_version_is_what_the_youngest_engine_tells() -> None:
    """Each engine process is asked once, however often it is looked at."""
    world = World()
    world.add(REF, IDLE, IDLE)
    old, new = world.things[REF].pods
    world.change(REF, pods=(old, replace(new, created_at=old.created_at + 60)))
    world.versions = {old.uid: "0.31.0", new.uid: "0.32.0"}
    async with running(world):
        await world.clock.advance(5 * PERIOD)
        assert world.reports[-1][1].version == "0.32.0"
        assert sorted(world.asked) == sorted([old.name, new.name])
        world.change(REF, pods=(old,))
        await world.clock.advance(2 * PERIOD)
        assert world.reports[-1][1].version == "0.31.0"


async def test_where_another_one_scales_nothing_is_written_and_everything_is_seen() -> None:
    world = World()
    world.add(REF, FULL, IDLE)
    world.change(REF, followed=True)
    async with running(world):
        await world.clock.advance(2 * DELAY)
        assert world.writes == []
        status = world.said()
        assert (status.desired_replicas, status.reason, status.history) == (None, "", ())
        assert status.signals is not None
        assert (status.signals.replicas_observed, status.signals.requests_running) == (2, 100)
        assert len(world.reports) == 1, "numbers that stay are told once"
        labels = {"namespace": "team", "name": "chat"}
        assert world.value("llmfleet_scaling_asked_replicas", **labels) == 2
        assert (world.value("llmfleet_replica_seconds_total", **labels) or 0.0) > DELAY
        assert world.value("llmfleet_scaling_held", **labels) is None


async def test_the_idlest_are_marked_for_whoever_scales_down() -> None:
    """Asked for by the pass that is about to take replicas away; of an object that is not known nothing is."""
    world = World()
    world.add(REF, page(kv_usage=0.02, running=3.0), IDLE, page(kv_usage=0.02, running=2.0))
    world.change(REF, followed=True)
    async with running(world) as loop:
        await loop.mark_victims(REF, 1)
        await world.clock.advance(2 * PERIOD)
        await loop.mark_victims(REF, 1)
        await loop.mark_victims(OTHER, 1)
    assert world.writes == [("costs", "chat", {"chat-1": -2, "chat-2": -1})]


async def test_after_another_one_the_autoscaler_begins_anew() -> None:
    """What was written meanwhile is not held against anybody, and nothing is taken away for one delay."""
    world = World()
    world.add(REF, IDLE, IDLE, IDLE)
    async with running(world):
        await world.clock.advance(DELAY - PERIOD)
        for replicas in (1, 3, 2, 3):
            world.change(REF, followed=True, replicas=replicas, replicas_manager="kube-controller-manager")
            await world.clock.advance(2 * PERIOD)
        world.change(REF, followed=False)
        await world.clock.advance(DELAY)
        assert (world.writes, world.said().reason) == ([], "HeldAfterRestart")
        await world.clock.advance(2 * PERIOD)
        assert world.writes[-1] == ("scale", "chat", 1, "6")


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
        assert world.said().reason == "HeldAfterRestart"
        await world.clock.advance(2 * PERIOD)
        assert world.writes[-1] == ("scale", "chat", 1, "1")


async def test_a_pod_is_looked_at_once_at_a_time() -> None:
    world = World(gate=asyncio.Event())
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(6 * PERIOD)
        assert len(world.looked) == 1


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
        assert world.said().reason == "HeldStale"
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
        assert world.said().reason == "HeldMissingMetrics"


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
        history = world.said().history
    assert [(change.from_, change.to) for change in history] == [(1, 2), (3, 1)]


async def test_a_cycle_that_is_too_long_is_told_and_the_missed_ones_are_left_out() -> None:
    world = World()
    world.add(REF, IDLE)

    class Slow(World):
        def objects(self) -> Iterable[WatchedObject]:
            self.clock.now += 12.0
            return super().objects()

    slow = Slow(clock=world.clock, things=world.things, pages=world.pages)
    async with running(slow):
        await slow.clock.advance(1)
        overruns = slow.value("llmfleet_scaling_overruns_total", stage="scrape") or 0
    assert overruns >= 1


async def test_a_directory_that_fails_ends_nothing() -> None:
    class Flaky(World):
        def objects(self) -> Iterable[WatchedObject]:
            if self.clock.now < 1012:
                raise RuntimeError("cache is not filled yet")
            return super().objects()

    world = Flaky()
    world.add(REF, FULL)
    async with running(world):
        await world.clock.advance(20)
    assert world.writes == [("scale", "chat", 2, "1")]
    assert world.value("llmfleet_scaling_errors_total", stage="decide") == 3


async def test_recommendations_are_reported_once_and_shown_as_a_metric() -> None:
    """With what the engine states of its KV cache; and they go when the spec is another one."""
    world = World()
    world.add(REF, page(kv_usage=0.1, running=8.0, waiting=9.0, prefix_caching=False))
    world.change(REF, config=None, facts=EngineFacts(max_num_seqs=8))
    labels = {"namespace": "team", "name": "chat"}
    async with running(world):
        await world.clock.advance(3600 + 700)
        (_, report) = world.reports[-1]
        assert [one.reason for one in report.recommendations] == ["RaiseMaxNumSeqs", "EnablePrefixCaching"]
        assert world.value("llmfleet_recommendation", **labels, reason="RaiseMaxNumSeqs") == 1
        heard = len(world.reports)
        await world.clock.advance(3600)
        assert len(world.reports) == heard
        world.change(REF, facts=EngineFacts(max_num_seqs=32))
        await world.clock.advance(PERIOD)
        assert world.reports[-1][1].recommendations == ()
        assert world.value("llmfleet_recommendation", **labels, reason="RaiseMaxNumSeqs") is None
