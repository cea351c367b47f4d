"""The loop that serves all objects: order of writes, leadership, failures that stay where they are, time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from llmfleet.api.settings import HangSettings, ScalingSettings
from llmfleet.engine.metrics import EngineMetrics
from llmfleet.engine.speed import Speed, Start
from llmfleet.scaling.loop import ECHO_SECONDS, WAKE_PERIOD, ScalingLoop
from llmfleet.scaling.metrics import ScalingMetrics
from llmfleet.scaling.ports import Conflict, EngineFacts, ObjectRef, Replacement, WatchedObject
from llmfleet.scaling.scrape import ErrorKind, ScrapeError
from llmfleet.scaling.state import Change
from tests.unit.scaling.builders import DELAY, PERIOD, config, page
from tests.unit.scaling.world import OTHER, REF, START, World


@asynccontextmanager
async def running(
    world: World, is_leader: Callable[[], bool] | None = None, hangs: HangSettings | None = None
) -> AsyncIterator[ScalingLoop]:
    metrics = ScalingMetrics(world.registry)
    loop = ScalingLoop(
        directory=world,
        actuator=world,
        scraper=world,
        settings=ScalingSettings(),
        guard=world.guard(metrics, hangs),
        clock=world.clock,
        metrics=metrics,
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
            await world.clock.advance(0.1)
        assert [write[2] for write in world.writes] == [4]
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


async def test_victims_are_marked_before_the_number_falls() -> None:
    world = World()
    world.add(REF, page(kv_usage=0.02, running=3.0), IDLE, page(kv_usage=0.02, running=2.0))
    async with running(world):
        await world.clock.advance(DELAY)
        assert world.writes == []
        await world.clock.advance(2 * PERIOD)
    assert world.writes == [("costs", "chat", {"chat-1": -2, "chat-2": -1}), ("scale", "chat", 1, "1")]


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


def serving(steps: float, cpu: float = 0.0) -> EngineMetrics:
    return page(kv_usage=0.1, running=3.0, steps=steps, generation_tokens=9 * steps, process_cpu=cpu)


async def pass_by(world: World, seconds: float, *working: str) -> None:
    """Time goes on, the page of every pod is made anew, and these engines make steps."""
    for _ in range(round(seconds / PERIOD)):
        for name, found in world.pages.items():
            if isinstance(found, EngineMetrics):
                step = 1.0 if name in working else 0.0
                cpu = (found.process_cpu or 0.0) + 0.01
                world.pages[name] = replace(found, steps=(found.steps or 0.0) + step, process_cpu=cpu)
        await world.clock.advance(PERIOD)


async def test_a_hung_engine_is_replaced_and_the_working_one_left_alone() -> None:
    """Also of an object that nobody scales; the sentence has the numbers."""
    world = World()
    world.add(REF, serving(1), serving(1))
    world.change(REF, config=None)
    async with running(world):
        await pass_by(world, 20, "chat-0", "chat-1")
        await pass_by(world, 145, "chat-0")
        assert world.writes == []
        await pass_by(world, 20, "chat-0")
        assert world.writes == [("replace", "chat", "chat-1")]
        (record,) = world.reports[-1][1].replaced
        assert record.message == "chat-1 had 3 requests in flight and no engine step for 155 s; it was replaced"
        assert world.value("llmfleet_hung_engines_total", namespace="team", name="chat") == 1
        assert world.value("llmfleet_hung_engines_replaced_total", namespace="team", name="chat") == 1
        await pass_by(world, 600, "chat-0")
        assert len(world.writes) == 1
        assert world.value("llmfleet_hung_replicas", namespace="team", name="chat") == 0
        assert world.reports[-1][1].scaling is None


async def test_engines_that_hang_again_and_again_are_given_up() -> None:
    """Three pods an hour, then the object says so and nothing is deleted; after the hour it is tried again."""
    world = World(new=serving(1))
    world.add(REF, serving(1))
    async with running(world):
        for _ in range(4):
            await pass_by(world, 20, "chat-0", "chat-0x", "chat-0xx", "chat-0xxx")
            await pass_by(world, 300)
        assert [write[2] for write in world.writes] == ["chat-0", "chat-0x", "chat-0xx"]
        (sentence,) = world.reports[-1][1].hung
        assert "chat-0xxx has 3 requests in flight and no engine step for" in sentence
        assert "3 were replaced in the last hour" in sentence
        heard = len(world.reports)
        await pass_by(world, 600)
        assert len(world.reports) == heard, "what stays so is told once"
        await pass_by(world, 2400)
        assert world.writes[-1] == ("replace", "chat", "chat-0xxx")


async def test_the_caps_hold_over_a_restart_of_the_operator() -> None:
    """What the status tells is counted as if this process had done it."""
    world = World()
    world.add(REF, serving(1))
    record = Replacement(START - 60, "gone", "it was replaced")
    world.change(REF, replaced=(record, record, record))
    async with running(world):
        await pass_by(world, 20, "chat-0")
        await pass_by(world, 300)
        assert world.writes == []
        assert "the most that hangs.replacementsPerHour allows" in world.reports[-1][1].hung[0]


async def test_all_objects_together_have_a_cap() -> None:
    """A bug in what is read must not delete every pod: the others are told of."""
    world = World()
    for number in range(4):
        world.add(ObjectRef("team", f"object-{number}", f"uid-{number}"), serving(1))
    names = [f"object-{number}-0" for number in range(4)]
    async with running(world, hangs=HangSettings(cluster_replacements_per_hour=2)):
        await pass_by(world, 20, *names)
        await pass_by(world, 300)
        assert len(world.writes) == 2
        told = [report.hung for _, report in world.reports if report.hung]
        assert len(told) == 2
        assert "hangs.clusterReplacementsPerHour" in told[0][0]


async def test_a_pod_that_may_not_be_deleted_is_told_and_tried_now_and_again() -> None:
    world = World(broken={REF: RuntimeError("the operator lacks a right")})
    world.add(REF, serving(1))
    async with running(world):
        await pass_by(world, 20, "chat-0")
        await pass_by(world, 300)
        assert world.writes == []
        assert "could not be deleted (the operator lacks a right)" in world.reports[-1][1].hung[0]
        assert 2 <= (world.value("llmfleet_scaling_errors_total", stage="replace") or 0) <= 3
        world.broken.clear()
        await pass_by(world, 65)
        assert len(world.writes) == 1, "what failed does not count against the cap"


async def test_a_leader_that_is_none_any_more_deletes_nothing() -> None:
    world = World()
    world.add(REF, serving(1))
    answers = True
    async with running(world, lambda: answers):
        await pass_by(world, 20, "chat-0")
        world.leader = False  # lost between the decision and the write
        await pass_by(world, 300)
    assert world.writes == []


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
