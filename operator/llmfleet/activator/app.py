"""Wires an activator together and runs it until a signal, or a fault, ends it.

Order of an end: not ready, so that the operator takes it out of the objects' addresses -> no new connections ->
requests that wait or are answered come to their end within the time to drain -> those that still wait are answered 503.
"""

import asyncio
import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from llmfleet.activator import forward, pages
from llmfleet.activator.bounds import Bounds
from llmfleet.activator.directory import Directory
from llmfleet.activator.listeners import Listeners
from llmfleet.activator.metrics import ActivatorMetrics
from llmfleet.activator.proxy import Proxy
from llmfleet.api.settings import ActivatorSettings
from llmfleet.kube.cluster import Api, Cluster, connect
from llmfleet.kube.informer import Informer
from llmfleet.kube.resources import CONFIG_MAPS, LLMS, PODS, Key, Resource
from llmfleet.kube.shelf import Shelf
from llmfleet.manifests.names import DEPLOYMENT_LABEL

logger = logging.getLogger(__name__)

WITHDRAWAL_SECONDS = 5.0
"""From the signal until nobody connects any more: the operator hears within a second, kube-proxy within some more."""
LAST_SECONDS = 2.0
"""For the answers to those that wait in vain."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    namespaces: Sequence[str] = ()
    """Namespaces of objects; empty: all."""
    home_namespace: str
    """Where the ConfigMap with the ports is."""
    name: str
    """Of that ConfigMap."""
    port: int = 8080
    drain_seconds: float = 120.0
    host: str | None = None
    """Address at which objects' ports listen; None: all."""


class Activator:
    """One process. To be made inside the event loop."""

    def __init__(self, api: Api, settings: ActivatorSettings, options: Options) -> None:
        self.options = options
        self.registry = CollectorRegistry()
        self.metrics = ActivatorMetrics(self.registry)
        self.directory = Directory()
        self.cluster = Cluster(api, may_write=lambda: False)
        self.client = forward.session()
        self.proxy = Proxy(self.directory, Bounds(settings), self.metrics, self.client)
        self.listeners = Listeners(self.directory, self.proxy, self.metrics, host=options.host)
        self.informers = list(self._informers())
        self._stop = asyncio.Event()

    def _informers(self) -> list[Informer]:
        scopes = tuple(self.options.namespaces) or ("",)
        return [
            self._informer(CONFIG_MAPS, self.directory.books, self.options.home_namespace, name=self.options.name),
            *(self._informer(LLMS, self.directory.objects, scope) for scope in scopes),
            *(self._informer(PODS, self.directory.pods, scope, selector=DEPLOYMENT_LABEL) for scope in scopes),
        ]

    def _informer(
        self, resource: Resource, shelf: Shelf[Any], namespace: str, *, selector: str = "", name: str = ""
    ) -> Informer:
        return Informer(
            cluster=self.cluster,
            resource=resource,
            namespace=namespace,
            selector=selector,
            shelf=shelf,
            on_change=self._changed,
            name=name,
        )

    def _changed(self, key: Key) -> None:
        self.directory.changed(key)
        if key == (self.options.home_namespace, self.options.name):
            self.listeners.changed()

    async def run(self) -> int:
        """Live.

        Returns:
            The exit code: 0 after a signal, else 1.
        """
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        app = pages.application(
            listeners=self.listeners,
            proxy=self.proxy,
            informers=self.informers,
            registry=self.registry,
            is_ending=self._stop.is_set,
        )
        runner = await pages.serve(app, port=self.options.port)
        parts = [
            asyncio.create_task(self.listeners.run(), name="listeners"),
            *(asyncio.create_task(one.run(), name=f"watch of {one.resource.plural}") for one in self.informers),
        ]
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait([*parts, stop], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                logger.error("The part %r ended: %s", task.get_name(), task.exception() or "without an error")
            await self._drain()
            return 0 if done == {stop} else 1
        finally:
            for task in parts:
                task.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            await self.client.close()
            await runner.cleanup()

    async def _drain(self) -> None:
        """Come to an end without losing a request."""
        await asyncio.sleep(WITHDRAWAL_SECONDS)
        await self.listeners.close()
        try:
            async with asyncio.timeout(self.options.drain_seconds):
                if self.proxy.active:
                    await self.proxy.idle.wait()
        except TimeoutError:
            logger.warning("%d requests are still there; those that wait are sent away", self.proxy.active)
        self.proxy.ending.set()
        if self.proxy.active:
            await asyncio.sleep(LAST_SECONDS)
        await self.listeners.end()


async def run(settings: ActivatorSettings, options: Options) -> int:
    """Run an activator; returns the exit code."""
    api = await connect()
    try:
        return await Activator(api, settings, options).run()
    finally:
        await api.close()
