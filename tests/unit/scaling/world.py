"""A cluster in memory, and time that passes when told: what the loop needs from outside, for its tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import CollectorRegistry

from llmfleet.api.settings import HangSettings, ScalingSettings
from llmfleet.api.status import ScalingStatus
from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling.guard import HangGuard
from llmfleet.scaling.loop import ScalingLoop
from llmfleet.scaling.metrics import ScalingMetrics
from llmfleet.scaling.ports import EngineFacts, ObjectRef, PodRef, WatchedObject
from llmfleet.scaling.report import Report
from llmfleet.scaling.scrape import ScrapeError
from llmfleet.scaling.state import MANAGER
from llmfleet.scaling.track import Sample
from tests.unit.scaling.builders import config, page

REF = ObjectRef("team", "chat", "uid-1")
OTHER = ObjectRef("team", "other", "uid-2")
START = 1_795_368_000.0
"""A wall-clock time: 2026-11-22T17:20:00Z."""
FULL = page(kv_usage=1.0, running=100.0)
IDLE = page(kv_usage=0.01)


@dataclass
class VirtualClock:
    """Time that passes only when told; sleepers wake in order."""

    now: float = 1000.0
    sleepers: list[tuple[float, asyncio.Event]] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return START + self.now - 1000

    async def sleep(self, seconds: float) -> None:
        wake = asyncio.Event()
        self.sleepers.append((self.now + seconds, wake))
        await wake.wait()

    async def advance(self, seconds: float) -> None:
        end = self.now + seconds
        await settle()
        while due := [(at, wake) for at, wake in self.sleepers if at <= end]:
            at, wake = min(due, key=lambda pair: pair[0])
            self.sleepers.remove((at, wake))
            self.now = max(self.now, at)
            wake.set()
            await settle()
        self.now = end
        await settle()


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)


@dataclass
class World:
    """A cluster in memory: what the loop sees and what it writes."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    things: dict[ObjectRef, WatchedObject] = field(default_factory=dict)
    pages: dict[str, EngineMetrics | ScrapeError] = field(default_factory=dict)
    writes: list[tuple[object, ...]] = field(default_factory=list)
    wrote: asyncio.Event = field(default_factory=asyncio.Event)
    reports: list[tuple[ObjectRef, Report]] = field(default_factory=list)
    looked: list[tuple[str, bool]] = field(default_factory=list)
    leader: bool = True
    echo: bool = True
    """Whether writes come back through the watch."""
    broken: dict[ObjectRef, Exception] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    """Looks and writes wait for it where there is one."""
    versions: dict[str, str] = field(default_factory=dict)
    """By the pod's uid."""
    asked: list[str] = field(default_factory=list)
    """Pods that were asked for their version."""
    new: EngineMetrics = field(default_factory=lambda: page(steps=0.0))
    """The page of a pod that takes the place of a deleted one."""
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def add(self, ref: ObjectRef, *seen: EngineMetrics | ScrapeError, replicas: int | None = None) -> None:
        pods = tuple(self.pod(f"{ref.name}-{i}", f"{ref.uid}-{i}") for i in range(len(seen)))
        self.pages |= {pod.name: one for pod, one in zip(pods, seen, strict=True)}
        count = len(seen) if replicas is None else replicas
        self.things[ref] = WatchedObject(
            ref=ref,
            config=config(),
            facts=EngineFacts(max_model_len=8192),
            replicas=count,
            resource_version="1",
            pods=pods,
        )

    def pod(self, name: str, uid: str, **fields: Any) -> PodRef:
        return PodRef(name=name, uid=uid, ip="192.0.2.1", port=8000, ready=True, **fields)

    def said(self, number: int = -1) -> ScalingStatus:
        """What a report says of scaling."""
        found = self.reports[number][1].scaling
        assert found is not None
        return found

    def change(self, ref: ObjectRef, **fields: object) -> None:
        version = str(int(self.things[ref].resource_version) + 1)
        self.things[ref] = replace(self.things[ref], resource_version=version, **fields)  # type: ignore[arg-type]

    def one(self, ref: ObjectRef) -> WatchedObject | None:
        return self.things.get(ref)

    def asleep_and_asked(self) -> Iterable[WatchedObject]:
        return [one for one in self.objects() if one.replicas == 0 and one.demanded]

    def objects(self) -> Iterable[WatchedObject]:
        return list(self.things.values())

    async def version(self, pod: PodRef) -> str:
        self.asked.append(pod.name)
        return self.versions.get(pod.uid, "")

    async def scrape(self, pod: PodRef, *, suspect: bool) -> Sample | ScrapeError:
        self.looked.append((pod.name, suspect))
        if self.gate:
            await self.gate.wait()
        found = self.pages[pod.name]
        return found if isinstance(found, ScrapeError) else Sample(self.clock.now, found)

    async def set_deletion_costs(self, ref: ObjectRef, costs: Mapping[PodRef, int]) -> None:
        self.writes.append(("costs", ref.name, {pod.name: cost for pod, cost in costs.items()}))

    async def set_replicas(self, ref: ObjectRef, replicas: int, *, resource_version: str) -> None:
        if self.gate:
            await self.gate.wait()
        if ref in self.broken:
            raise self.broken[ref]
        self.writes.append(("scale", ref.name, replicas, resource_version))
        self.wrote.set()
        if self.echo:
            self.change(ref, replicas=replicas, replicas_manager=MANAGER)

    def guard(self, metrics: ScalingMetrics, settings: HangSettings | None = None) -> HangGuard:
        return HangGuard(
            actuator=self,
            clock=self.clock,
            metrics=metrics,
            settings=settings or HangSettings(),
            is_leader=lambda: self.leader,
        )

    async def replace(self, ref: ObjectRef, pod: PodRef) -> None:
        """Delete it; its successor is there and ready at once, with the page `new`."""
        if self.gate:
            await self.gate.wait()
        if ref in self.broken:
            raise self.broken[ref]
        self.writes.append(("replace", ref.name, pod.name))
        new = self.pod(f"{pod.name}x", f"{pod.uid}x", created_at=self.clock.wall())
        self.pages[new.name] = self.new
        self.change(ref, pods=tuple(new if one.uid == pod.uid else one for one in self.things[ref].pods))

    def value(self, metric: str, /, **labels: str) -> float | None:
        return self.registry.get_sample_value(metric, labels)


@asynccontextmanager
async def running(
    world: World, is_leader: Callable[[], bool] | None = None, hangs: HangSettings | None = None
) -> AsyncIterator[ScalingLoop]:
    """The loop on this world, until the block ends."""
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
