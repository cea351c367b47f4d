"""Engines that hang, as the loop deals with them."""

from dataclasses import replace

from llmfleet.api.settings import HangSettings
from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling.ports import ObjectRef, Replacement
from tests.unit.scaling.builders import PERIOD, page
from tests.unit.scaling.world import REF, START, World, running


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
