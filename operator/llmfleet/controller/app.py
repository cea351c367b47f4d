"""Wires everything together and runs it until a signal, a lost Lease or a fault ends it.

Order of a life: probes answer -> the CRD is there -> watches fill the cache while the election runs -> work.
Order of an end: passes come to their end -> the Lease is given back -> watches and probes stop.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from uuid import uuid4

import kopf
from prometheus_client import REGISTRY

from llmfleet import __version__
from llmfleet.api.settings import Settings
from llmfleet.controller import handlers, metrics, probes
from llmfleet.controller.apply import Applier
from llmfleet.controller.cache import Cache
from llmfleet.controller.chronicle import Chronicle
from llmfleet.controller.fleet_metrics import FleetCollector
from llmfleet.controller.informers import Informers
from llmfleet.controller.occupancy import Occupancy
from llmfleet.controller.queue import WorkQueue
from llmfleet.controller.reconcile import Reconciler, ignore
from llmfleet.controller.recorder import Recorder
from llmfleet.controller.resync import Resync
from llmfleet.controller.scaling_bridge import CachedDirectory, ClusterActuator, Reporter
from llmfleet.controller.settled import Settled
from llmfleet.controller.stand_ins import StandIns
from llmfleet.controller.startups import FailedStarts, Restarts, Startups
from llmfleet.controller.watches import Watches
from llmfleet.kube.cluster import Api, Cluster, connect
from llmfleet.kube.errors import TransientError
from llmfleet.kube.leader import Leader
from llmfleet.kube.resources import LLMS
from llmfleet.scaling.clock import SystemClock
from llmfleet.scaling.guard import HangGuard
from llmfleet.scaling.loop import ScalingLoop
from llmfleet.scaling.metrics import ScalingMetrics
from llmfleet.scaling.scrape import Scraper

logger = logging.getLogger(__name__)

CRD_PAUSE = 5.0
"""Seconds between looks for the CRD."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    namespaces: Sequence[str] = ()
    """Namespaces that are watched; empty: all."""
    lease_namespace: str
    port: int = 8080
    activator: str = ""
    """Name of the activators' Service and ConfigMap, in `lease_namespace`; empty: there are none."""


class App:
    """One operator process. To be made inside the event loop."""

    def __init__(self, api: Api, settings: Settings, options: Options) -> None:
        identity = f"{socket.gethostname()}_{uuid4()}"
        self.settings = settings
        self.options = options
        self.leader = Leader(api, namespace=options.lease_namespace, identity=identity)
        self.cluster = Cluster(api, may_write=self.leader.may_write)
        self.cache = Cache()
        self.queue = WorkQueue()
        scopes = tuple(options.namespaces) or ("",)
        self.watches = Watches(tuple((LLMS.plural, scope) for scope in scopes))
        self.informers = Informers(self.cluster, self.cache, self.queue).of(scopes, settings)
        self.stand_ins: StandIns | None = None
        if options.activator:
            place, limits = options.lease_namespace, settings.activator
            self.stand_ins = StandIns.named(
                options.activator, namespace=place, cluster=self.cluster, queue=self.queue, settings=limits
            )
            self.cache.guards_of = self.stand_ins.board.guards
            self.informers.append(self.stand_ins.home)
        self.health = probes.Health(self.watches, self.informers, self.queue)
        self.reconciler = Reconciler(
            cache=self.cache,
            cluster=self.cluster,
            applier=Applier(self.cluster, self.cache, Occupancy(self.cluster, tuple(options.namespaces))),
            settings=settings,
            recorder=Recorder(self.cluster, identity=identity),
            startups=Startups(since=time.time()),
            settled=Settled(patience=settings.scaling.stale_after_seconds + settings.scaling.decision_period_seconds),
            failed_starts=FailedStarts(since=time.time(), counter=metrics.START_FAILURES),
            restarts=Restarts(since=time.time(), counter=metrics.RESTARTS),
            on_gone=self.stand_ins.board.book.drop if self.stand_ins else ignore,
        )
        self._stop = asyncio.Event()
        self._kopf_stop = asyncio.Event()

    async def run(self) -> int:
        """Live.

        Returns:
            The exit code: 0 after a signal, else 1.
        """
        metrics.BUILD_INFO.labels(__version__).set(1)
        REGISTRY.register(FleetCollector(self.cache, is_leader=self.leader.may_write, wall=time.time))
        runner = await probes.serve(self.health, port=self.options.port)
        try:
            self._listen_to_signals()
            await self._until_stopped(self._wait_for_crd())
            if self._stop.is_set():
                return 0
            return await self._work()
        finally:
            await runner.cleanup()

    async def _work(self) -> int:
        resync = Resync(self.cache, self.cluster, self.queue, self.watches, self.options.namespaces)
        parts = [
            asyncio.create_task(self.health.run(), name="health"),
            asyncio.create_task(self._lead(), name="leader election"),
            asyncio.create_task(self._reconcile(), name="reconcile"),
            asyncio.create_task(resync.run(), name="resync"),
            asyncio.create_task(self._scale(), name="autoscaler"),
            asyncio.create_task(self._chronicle().run(), name="chronicle"),
            *self._stand_in(),
            *(asyncio.create_task(one.run(), name=f"watch of {one.resource.plural}") for one in self.informers),
        ]
        watching = asyncio.create_task(self._watch(), name="watches")
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        done, _ = await asyncio.wait([*parts, watching, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stop}:
            logger.error("The part %r ended: %s", task.get_name(), task.exception() or "without an error")
        await _end(parts)
        await self.leader.release()
        self._kopf_stop.set()
        await asyncio.wait([watching], timeout=handlers.END_PATIENCE)
        return 0 if done == {stop} else 1

    async def _until_stopped(self, work: Coroutine[None, None, None]) -> None:
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.cancel():
            task.result()

    async def _wait_for_crd(self) -> None:
        """Wait for the CRD: kopf watches only what exists when it starts."""
        is_told = False
        while True:
            try:
                if await self.cluster.serves(LLMS):
                    return
                problem = f"The resource {LLMS.plural} is unknown to the API server: install the CRD (crds/)"
            except TransientError as error:
                problem = str(error)
            if not is_told:
                logger.warning("%s; waiting", problem)
                is_told = True
            await asyncio.sleep(CRD_PAUSE)

    async def _lead(self) -> None:
        """Leadership that was had and is lost ends the process at once: nothing half done may go on."""
        await self.leader.run()
        logger.critical("The Lease is lost: this process ends")
        logging.shutdown()
        os._exit(1)

    async def _reconcile(self) -> None:
        await self.leader.elected.wait()
        for informer in self.informers:
            await informer.listed.wait()
        await self.queue.run(self.reconciler)

    def _stand_in(self) -> list[asyncio.Task[None]]:
        """Who answers for objects at zero, where there are activators."""
        if self.stand_ins is None:
            return []
        return self.stand_ins.tasks(
            elected=self.leader.elected, is_leader=self.leader.may_write, objects=lambda: list(self.cache.objects.items)
        )

    async def _scale(self) -> None:
        await self.leader.elected.wait()
        clock, options, series = SystemClock(), self.settings.scaling, ScalingMetrics(REGISTRY)
        actuator = ClusterActuator(self.cluster)
        guard = HangGuard(
            actuator=actuator,
            clock=clock,
            metrics=series,
            settings=self.settings.hangs,
            is_leader=self.leader.may_write,
        )
        async with Scraper(timeout_seconds=options.scrape_timeout_seconds, monotonic=clock.monotonic) as scraper:
            loop = ScalingLoop(
                directory=CachedDirectory(
                    self.cache, self.reconciler, self.stand_ins.board if self.stand_ins else None
                ),
                actuator=actuator,
                scraper=scraper,
                settings=options,
                guard=guard,
                clock=clock,
                metrics=series,
                is_leader=self.leader.may_write,
                on_report=Reporter(self.cache, self.reconciler, self.queue),
            )
            self.reconciler.mark_victims = loop.mark_victims
            await loop.run()

    def _chronicle(self) -> Chronicle:
        is_leader, clock = self.leader.may_write, SystemClock()
        return Chronicle(self.cache, metrics.HELD_SECONDS, metrics.REVERSALS, is_leader=is_leader, clock=clock)

    async def _watch(self) -> None:
        ready = asyncio.Event()
        signals = asyncio.create_task(self._keep_signals(ready), name="signals")
        namespaces = list(self.options.namespaces)
        await kopf.operator(
            registry=handlers.registry(self.cache, self.queue, self.watches),
            settings=handlers.settings(),
            clusterwide=not namespaces,
            namespaces=namespaces,
            standalone=True,
            ready_flag=ready,
            stop_flag=self._kopf_stop,
        )
        signals.cancel()

    async def _keep_signals(self, ready: asyncio.Event) -> None:
        """Take back the signals, which kopf takes when it starts: the order of ending is ours."""
        await ready.wait()
        self._listen_to_signals()

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def run(settings: Settings, options: Options) -> int:
    """Run the operator; returns the exit code."""
    api = await connect()
    # What is there now stays, and bodies come and go by the thousand without cycles: not worth a look each time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        return await App(api, settings, options).run()
    finally:
        await api.close()
