"""One loop for all objects: look at every engine, decide for every object, write what changed.

Last station of the autoscaler, and the only one with a clock and other parties (all given: Directory, Actuator,
Scraper, Clock). Looks and writes are tasks of their own, at most one under way for each pod and each object, so a slow
pod or a slow write delays nobody; an object that fails is logged, counted and tried again in the next cycle. Only the
leader looks and decides; who becomes leader begins with an empty memory, and so takes no replicas away for one
scale-down delay.

After a write the object is left alone until its change has come back through the watch: deciding on the old number
would take our own writing for somebody else's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from llmfleet.api.settings import ScalingSettings
from llmfleet.api.status import ScalingStatus
from llmfleet.scaling.clock import Clock, rfc3339
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.memory import ObjectMemory, PodMemory
from llmfleet.scaling.metrics import ScalingMetrics
from llmfleet.scaling.policy import Decision, decide, written
from llmfleet.scaling.ports import Actuator, Conflict, Directory, ObjectRef, PodRef, ScaledObject
from llmfleet.scaling.scrape import ErrorKind, ScrapeError
from llmfleet.scaling.signals import Sample, observe
from llmfleet.scaling.state import State
from llmfleet.scaling.status import status_of
from llmfleet.scaling.victims import deletion_costs

ECHO_SECONDS = 30.0
"""Longest time to wait for our own write to come back through the watch."""
WRITE_SECONDS = 30.0
"""Longest time for a write."""
ANSWER_SHARE = 0.2
"""Share of the scrape period by which decisions come after looks, so that they see this cycle's answers."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What the status reporter is told."""

    status: ScalingStatus
    decision: Decision


class Looks(Protocol):
    """What the loop needs of a Scraper."""

    def scrape(self, pod: PodRef, *, suspect: bool) -> Awaitable[Sample | ScrapeError]:
        """Look at one pod."""
        ...


@dataclass(frozen=True, kw_only=True)
class ScalingLoop:
    """Runs until cancelled."""

    directory: Directory
    actuator: Actuator
    scraper: Looks
    settings: ScalingSettings
    clock: Clock
    metrics: ScalingMetrics
    is_leader: Callable[[], bool]
    on_report: Callable[[ObjectRef, Report], None]
    """Called when there is something new to write into an object's status."""
    _objects: dict[ObjectRef, ObjectMemory] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Look and decide, each in its period, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(self.settings.scrape_period_seconds, "scrape", self.look))
            await self.clock.sleep(ANSWER_SHARE * self.settings.scrape_period_seconds)
            tasks.create_task(self._every(self.settings.decision_period_seconds, "decide", self.decide))

    async def _every(self, period: float, stage: str, cycle: Callable[[asyncio.TaskGroup], Awaitable[None]]) -> None:
        """Start a cycle each period, on time. A cycle that takes longer is told, and the missed ones are left out."""
        async with asyncio.TaskGroup() as tasks:
            due = self.clock.monotonic()
            while True:
                try:
                    await cycle(tasks)
                except Exception:  # noqa: BLE001 (a directory that fails must not end the loop)
                    _log.exception("scaling: the %s cycle failed", stage)
                    self.metrics.errors.labels(stage).inc()
                due += period
                late = self.clock.monotonic() - due
                if late > 0:
                    _log.warning("scaling: the %s cycle took %.1f s longer than its %.1f s", stage, late, period)
                    self.metrics.overruns.labels(stage).inc()
                    due += late
                await self.clock.sleep(due - self.clock.monotonic())

    async def look(self, tasks: asyncio.TaskGroup) -> None:
        """Start a look at each ready pod that is not being looked at."""
        if not self.is_leader():
            return
        for scaled in self.directory.objects():
            memory = self._memory(scaled)
            memory.keep(scaled.pods)
            for pod in scaled.pods:
                if pod.ready and pod.ip and not pod.terminating and not scaled.suspended:
                    self._start_look(tasks, scaled.ref, pod, memory)
            await asyncio.sleep(0)  # others' turn: a thousand objects are a long loop

    def _start_look(self, tasks: asyncio.TaskGroup, ref: ObjectRef, pod: PodRef, memory: ObjectMemory) -> None:
        known = memory.pod(pod)
        if not known.looking:
            known.looking = True
            tasks.create_task(self._look_at(ref, pod, known))

    async def _look_at(self, ref: ObjectRef, pod: PodRef, known: PodMemory) -> None:
        try:
            found = await self.scraper.scrape(pod, suspect=known.suspect)
        except Exception:  # noqa: BLE001 (a bug met on one pod's page must not end the loop for all)
            _log.exception("scaling: looking at %s/%s failed", ref.namespace, pod.name)
            self.metrics.errors.labels("scrape").inc()
            return
        finally:
            known.looking = False
        if isinstance(found, Sample):
            known.track, known.suspect = observe(known.track, found), False
        else:
            known.suspect = found.kind is ErrorKind.TIMEOUT
        if ref in self._objects:
            self.metrics.scraped(ref, "ok" if isinstance(found, Sample) else found.kind.value)

    async def decide(self, tasks: asyncio.TaskGroup) -> None:
        """Decide for each object, and start the writes."""
        if not self.is_leader():
            self._forget(list(self._objects))
            return
        seen = set()
        for scaled in self.directory.objects():
            seen.add(scaled.ref)
            try:
                self._decide(tasks, scaled)
            except Exception:  # noqa: BLE001 (one bad object never harms the others)
                _log.exception("scaling: deciding on %s/%s failed", scaled.ref.namespace, scaled.ref.name)
                self.metrics.errors.labels("decide").inc()
            await asyncio.sleep(0)
        self._forget([ref for ref in self._objects if ref not in seen])

    def _decide(self, tasks: asyncio.TaskGroup, scaled: ScaledObject) -> None:
        memory, now = self._memory(scaled), self.clock.monotonic()
        if memory.writing or memory.awaits_echo(scaled.resource_version, now):
            return
        fleet = memory.fleet(scaled, now=now, stale_after=self.settings.stale_after_seconds)
        decision, memory.state = decide(scaled.config, fleet, memory.state, now)
        holding = sum(not pod.unschedulable for pod in scaled.pods)
        elapsed = now - memory.decided_at if memory.decided_at is not None else 0.0
        memory.decided_at = now
        self.metrics.decided(scaled.ref, decision, pod_seconds=holding * elapsed)
        if decision.write:
            memory.writing = True
            tasks.create_task(self._write(scaled, fleet, decision, memory))
        else:
            self._publish(scaled.ref, decision, memory)

    async def _write(self, scaled: ScaledObject, fleet: Fleet, decision: Decision, memory: ObjectMemory) -> None:
        """Mark who should go, then change the number: the other order would leave the choice to chance."""
        ref = scaled.ref
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._mark_victims(scaled, fleet, decision)
                if not self.is_leader():
                    return
                await self.actuator.set_replicas(ref, decision.wanted, resource_version=scaled.resource_version)
        except Conflict:
            _log.info("scaling: %s/%s changed meanwhile; deciding anew", ref.namespace, ref.name)
            self.metrics.errors.labels("conflict").inc()
        except Exception:  # noqa: BLE001 (one bad object never harms the others)
            _log.exception("scaling: writing %s/%s failed", ref.namespace, ref.name)
            self.metrics.errors.labels("write").inc()
        else:
            _log.info("scaling: %s/%s %s", ref.namespace, ref.name, decision.message)
            memory.state = written(memory.state, decision, rfc3339(self.clock.wall()))
            memory.echo_of, memory.echo_until = scaled.resource_version, self.clock.monotonic() + ECHO_SECONDS
        finally:
            memory.writing = False
            self._publish(ref, decision, memory)

    async def _mark_victims(self, scaled: ScaledObject, fleet: Fleet, decision: Decision) -> None:
        if decision.wanted >= decision.current:
            return
        costs = deletion_costs(fleet.replicas, wanted=decision.wanted)
        if costs:
            pods = {pod: costs[pod.name] for pod in scaled.pods if pod.name in costs}
            await self.actuator.set_deletion_costs(scaled.ref, pods)

    def _publish(self, ref: ObjectRef, decision: Decision, memory: ObjectMemory) -> None:
        if self._objects.get(ref) is not memory:
            return  # gone, or no longer the leader
        published = status_of(decision, memory.state.history, memory.published, now=self.clock.monotonic())
        if published is not memory.published:
            memory.published = published
            self.on_report(ref, Report(published.status, decision))

    def _memory(self, scaled: ScaledObject) -> ObjectMemory:
        if scaled.ref not in self._objects:
            self._objects[scaled.ref] = ObjectMemory(State(history=scaled.history))
        return self._objects[scaled.ref]

    def _forget(self, refs: Iterable[ObjectRef]) -> None:
        for ref in refs:
            del self._objects[ref]
            self.metrics.forget(ref)
