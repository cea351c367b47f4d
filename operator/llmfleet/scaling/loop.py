"""One loop for all objects: look at every engine, decide for every object, write what changed.

Last station of the autoscaler, and with `guard` the only one with a clock and other parties (all given: Directory,
Actuator, Scraper, Clock). Engines of objects that are not scaled are watched too, for hangs and for what users see.
Looks and writes are tasks of their own, at most one under way for each pod and each object, so a slow pod or a slow
write delays nobody; an object that fails is logged, counted and tried again in the next cycle. Only the leader looks
and decides; who becomes leader begins with an empty memory, and so takes no replicas away for one scale-down delay.

After a write the object is left alone until its change has come back through the watch: deciding on the old number
would take our own writing for somebody else's.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from llmfleet.api.settings import ScalingSettings
from llmfleet.scaling.adviser import Adviser
from llmfleet.scaling.clock import Clock, rfc3339
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.cycles import every
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.guard import HangGuard
from llmfleet.scaling.looks import Looks, Round
from llmfleet.scaling.memory import ObjectMemory
from llmfleet.scaling.metrics import ScalingMetrics
from llmfleet.scaling.policy import Decision, asked, decide, written
from llmfleet.scaling.ports import Actuator, Conflict, Directory, ObjectRef, WatchedObject
from llmfleet.scaling.report import Report, capacity
from llmfleet.scaling.state import State
from llmfleet.scaling.status import seen, status_of
from llmfleet.scaling.turns import turns
from llmfleet.scaling.victims import deletion_costs

ECHO_SECONDS = 30.0
"""Longest time to wait for our own write to come back through the watch."""
WRITE_SECONDS = 30.0
"""Longest time for a write."""
CHANGE_SECONDS, CHANGE_LOOK = 2.0, 0.1
"""After a conflict: longest time to wait until the watch shows the change, and the time between two looks at that."""
WAKE_PERIOD = 0.5
"""Seconds between two looks at whether an object at zero is asked for."""
ANSWER_SHARE = 0.1
"""Share of the scrape period by which decisions come after looks, so that they see this cycle's answers."""
SPREAD = 0.8
"""Share of a period over which a cycle is spread: what it takes longer than it should does not yet make it late."""
SECOND_LOOK = 2.5
"""Seconds from a decision that is left open, as its look may have seen the beginning of a step of the load, to another
look, which sees the step's height: three seconds from look to look, as shipped."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ScalingLoop:
    """Runs until cancelled."""

    directory: Directory
    actuator: Actuator
    scraper: Looks
    settings: ScalingSettings
    guard: HangGuard
    clock: Clock
    metrics: ScalingMetrics
    is_leader: Callable[[], bool]
    on_report: Callable[[ObjectRef, Report], None]
    """Called when there is something new to write into an object's status."""
    _objects: dict[ObjectRef, ObjectMemory] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Look and decide, each in its period, for ever."""
        settings, on_time = self.settings, partial(every, clock=self.clock, metrics=self.metrics)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on_time(settings.scrape_period_seconds, "scrape", self.look))
            await self.clock.sleep(ANSWER_SHARE * settings.scrape_period_seconds)
            tasks.create_task(on_time(WAKE_PERIOD, "wake", self.wake))
            tasks.create_task(on_time(settings.decision_period_seconds, "decide", self.decide))

    async def look(self, tasks: asyncio.TaskGroup) -> None:
        """Start a look at each ready pod that is not being looked at."""
        if not self.is_leader():
            return
        looks = self._round()
        async for watched in self._turns(self.settings.scrape_period_seconds):
            self._look_at(tasks, watched, looks)
        tasks.create_task(looks.end())

    def _round(self) -> Round:
        return Round(self.scraper, clock=self.clock, metrics=self.metrics, is_known=lambda ref: ref in self._objects)

    def _look_at(self, tasks: asyncio.TaskGroup, watched: WatchedObject, looks: Round) -> None:
        memory = self._memory(watched)
        memory.keep(watched.pods)
        for pod in watched.pods:
            if pod.ready and pod.ip and not pod.terminating and not watched.suspended:
                looks.start(tasks, watched.ref, pod, memory.pod(pod))

    async def _look_again(self, tasks: asyncio.TaskGroup, watched: WatchedObject, memory: ObjectMemory) -> None:
        """A look and a decision out of turn."""
        await self.clock.sleep(SECOND_LOOK)
        if (present := self._present(watched.ref, memory)) is None:
            return
        looks = self._round()
        self._look_at(tasks, present, looks)
        await looks.answered()
        if (present := self._present(watched.ref, memory)) is not None:
            self._try_to_decide(tasks, present)

    def _present(self, ref: ObjectRef, memory: ObjectMemory) -> WatchedObject | None:
        """An object as it is by now: a copy grows old while one waits. None where it is no longer ours to decide on."""
        return self.directory.one(ref) if self._objects.get(ref) is memory and self.is_leader() else None

    def _turns(self, period: float) -> AsyncIterator[WatchedObject]:
        seconds, objects = SPREAD * period, self.directory.objects()
        return turns(objects, expected=len(self._objects), seconds=seconds, clock=self.clock)

    async def decide(self, tasks: asyncio.TaskGroup) -> None:
        """Decide for each object, and start the writes."""
        if not self.is_leader():
            await self._forget(list(self._objects))
            return
        began, seen = self.clock.monotonic(), set()
        async for watched in self._turns(self.settings.decision_period_seconds):
            seen.add(watched.ref)
            self._try_to_decide(tasks, watched)
        await self._forget([ref for ref in self._objects if ref not in seen])
        self.metrics.cycles.labels("decide").observe(self.clock.monotonic() - began)

    async def wake(self, tasks: asyncio.TaskGroup) -> None:
        """Decide at once for each object at zero for which requests wait."""
        if self.is_leader():
            for watched in self.directory.asleep_and_asked():
                self._try_to_decide(tasks, watched)

    def _try_to_decide(self, tasks: asyncio.TaskGroup, watched: WatchedObject) -> None:
        try:
            self._decide(tasks, watched)
        except Exception:  # noqa: BLE001 (one bad object never harms the others)
            _log.exception("scaling: deciding on %s/%s failed", watched.ref.namespace, watched.ref.name)
            self.metrics.errors.labels("decide").inc()

    def _decide(self, tasks: asyncio.TaskGroup, watched: WatchedObject) -> None:
        memory, now = self._memory(watched), self.clock.monotonic()
        fleet = memory.fleet(watched, now=now, stale_after=self.settings.stale_after_seconds)
        self.guard.watch(tasks, watched, fleet, memory.hangs)
        self.metrics.seen(watched, fleet.totals)
        memory.engine_version = memory.version(watched.pods) or memory.engine_version
        memory.kv_cache_tokens = capacity(memory.kv_cache_tokens, fleet.totals.kv_cache_tokens)
        memory.view = watched, fleet
        if watched.config is not None and watched.followed:
            self._follow(watched, watched.config, fleet, memory)
        elif watched.config is None:
            memory.rest()
            self._advise(watched, fleet, memory, wanted=watched.replicas)
        elif not (memory.writing or memory.awaits_echo(watched.resource_version, now)):
            decision = self._scale(tasks, watched, watched.config, fleet, memory)
            wanted = max((term.replicas for term in decision.terms), default=watched.replicas)
            self._advise(watched, fleet, memory, wanted=wanted)
        self._tell(watched.ref, memory)

    def _scale(
        self,
        tasks: asyncio.TaskGroup,
        watched: WatchedObject,
        config: ScalingConfig,
        fleet: Fleet,
        memory: ObjectMemory,
    ) -> Decision:
        now = self.clock.monotonic()
        decision, memory.state = decide(config, fleet, memory.state, now)
        self.metrics.decided(watched.ref, decision, pod_seconds=watched.holding * memory.elapsed(now))
        if decision.write:
            memory.writing = True
            tasks.create_task(self._write(tasks, watched, fleet, decision, memory))
        else:
            self._publish(decision, memory)
        if memory.state.load.rising:
            tasks.create_task(self._look_again(tasks, watched, memory))
        return decision

    def _follow(self, watched: WatchedObject, config: ScalingConfig, fleet: Fleet, memory: ObjectMemory) -> None:
        """Another one scales: show what the engines say, and keep nothing by which it could be held against it."""
        now, shown = self.clock.monotonic(), memory.published
        elapsed = memory.elapsed(now)
        memory.rest()
        memory.decided_at, memory.published = now, seen(fleet.totals, memory.state.history, shown, now=now)
        wanted = max((term.replicas for term in asked(config, fleet)), default=None)
        self.metrics.followed(watched.ref, wanted, pod_seconds=watched.holding * elapsed)
        self._advise(watched, fleet, memory, wanted=watched.replicas if wanted is None else wanted)

    async def mark_victims(self, ref: ObjectRef, wanted: int) -> None:
        """Mark the idlest pods, before another one's number of replicas takes effect; nothing of an object unknown."""
        memory = self._objects.get(ref)
        if memory is not None and memory.view is not None:
            await self._mark(*memory.view, wanted=wanted)

    def _advise(self, watched: WatchedObject, fleet: Fleet, memory: ObjectMemory, *, wanted: int) -> None:
        before = memory.adviser.told
        memory.adviser.look(watched, fleet, wanted=wanted, now=self.clock.monotonic(), wall=self.clock.wall())
        if memory.adviser.told != before:
            self.metrics.recommended(watched.ref, {one.reason for one in memory.adviser.told})

    async def _write(
        self,
        tasks: asyncio.TaskGroup,
        watched: WatchedObject,
        fleet: Fleet,
        decision: Decision,
        memory: ObjectMemory,
    ) -> None:
        """Mark who should go, then change the number: the other order would leave the choice to chance."""
        ref = watched.ref
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                if decision.wanted < decision.current:
                    await self._mark(watched, fleet, wanted=decision.wanted)
                if not self.is_leader():
                    return
                await self.actuator.set_replicas(ref, decision.wanted, resource_version=watched.resource_version)
        except Conflict:
            _log.info("scaling: %s/%s changed meanwhile; deciding anew", ref.namespace, ref.name)
            self.metrics.errors.labels("conflict").inc()
            tasks.create_task(self._decide_anew(tasks, watched, memory))
        except Exception:  # noqa: BLE001 (one bad object never harms the others)
            _log.exception("scaling: writing %s/%s failed", ref.namespace, ref.name)
            self.metrics.errors.labels("write").inc()
        else:
            _log.info("scaling: %s/%s %s", ref.namespace, ref.name, decision.message)
            memory.state = written(memory.state, decision, rfc3339(self.clock.wall()))
            memory.echo_of, memory.echo_until = watched.resource_version, self.clock.monotonic() + ECHO_SECONDS
        finally:
            memory.writing = False
            self._publish(decision, memory)
            self._tell(ref, memory)

    async def _decide_anew(self, tasks: asyncio.TaskGroup, watched: WatchedObject, memory: ObjectMemory) -> None:
        """Decide once the watch shows what has changed: seldom more than our own status, which should cost no period.

        Once a period, since somebody may go on changing the object.
        """
        began = self.clock.monotonic()
        if began - memory.anew_at < self.settings.decision_period_seconds:
            return
        memory.anew_at = began
        while self.clock.monotonic() - began < CHANGE_SECONDS:
            await self.clock.sleep(CHANGE_LOOK)
            present = self._present(watched.ref, memory)
            if present is None:
                return
            if present.resource_version != watched.resource_version:
                self._try_to_decide(tasks, present)
                return

    async def _mark(self, watched: WatchedObject, fleet: Fleet, *, wanted: int) -> None:
        costs = deletion_costs(fleet.replicas, wanted=wanted)
        if costs:
            pods = {pod: costs[pod.name] for pod in watched.pods if pod.name in costs}
            await self.actuator.set_deletion_costs(watched.ref, pods)

    def _publish(self, decision: Decision, memory: ObjectMemory) -> None:
        memory.published = status_of(decision, memory.state.history, memory.published, now=self.clock.monotonic())

    def _tell(self, ref: ObjectRef, memory: ObjectMemory) -> None:
        """Report what is new."""
        if self._objects.get(ref) is not memory:
            return  # gone, or no longer the leader
        if (report := memory.said()) != memory.report:
            memory.report = report
            self.on_report(ref, report)

    def _memory(self, watched: WatchedObject) -> ObjectMemory:
        if watched.ref not in self._objects:
            state, adviser = State(history=watched.history), Adviser(watched.recommended)
            self._objects[watched.ref] = ObjectMemory(state, self.guard.begin(watched), adviser)
        return self._objects[watched.ref]

    async def _forget(self, refs: Iterable[ObjectRef]) -> None:
        for ref in refs:
            del self._objects[ref]
            self.metrics.forget(ref)
            await asyncio.sleep(0)  # each walks over the series of all
