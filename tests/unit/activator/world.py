"""An activator without a cluster: what its watches would have told it, real sockets, and engines of the test's own."""

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from llmfleet.activator import forward
from llmfleet.activator.bounds import Bounds
from llmfleet.activator.directory import Directory
from llmfleet.activator.listeners import Listeners
from llmfleet.activator.metrics import ActivatorMetrics
from llmfleet.activator.pages import state
from llmfleet.activator.proxy import Proxy
from llmfleet.api.activation import Entry, dump
from llmfleet.api.settings import ActivatorSettings
from llmfleet.api.v1alpha1 import PORT
from tests.unit.kube.bodies import llm_body, pod_body

NAMESPACE, NAME = "team", "qwen"
BOOK = {"namespace": "llmfleet", "name": "llmfleet-activator", "uid": "book"}
CHAT = "/v1/chat/completions"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_hosts = (f"127.88.{os.getpid() % 250}.{number}" for number in itertools.count(1))
"""Addresses that are this process's own."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class World:
    """One activator and one object, at zero until `ready` is called."""

    proxy: Proxy
    listeners: Listeners
    registry: CollectorRegistry
    port: int
    _versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(2))
    _runners: list[web.AppRunner] = field(default_factory=list)

    @property
    def directory(self) -> Directory:
        return self.proxy.directory

    def url(self, path: str = CHAT) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def apply(self, *, status: dict[str, Any] | None = None, **spec: Any) -> None:
        """The object as the API server has it now."""
        version = next(self._versions)
        body = llm_body(generation=version, status=status, scaling={"minReplicas": 0, "maxReplicas": 2}, **spec)
        body["metadata"]["resourceVersion"] = str(version)
        self.directory.objects.put(body)

    async def engine(self, handler: Handler) -> str:
        """An engine that listens; the address."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        address = next(_hosts)
        await web.TCPSite(runner, address, PORT).start()
        self._runners.append(runner)
        return address

    def ready(self, address: str, *, is_ready: bool = True, name: str = "qwen-1") -> None:
        """A pod at that address becomes Ready, or is no longer."""
        body = pod_body(name, ready=is_ready, podIP=address)
        body["metadata"]["resourceVersion"] = str(next(self._versions) + 10)
        self.directory.pods.put(body)
        self.directory.changed((NAMESPACE, NAME))

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, {"namespace": NAMESPACE, "name": NAME, **labels}) or 0.0

    def refused(self, reason: str) -> float:
        return self.value("llmfleet_activator_refused_total", reason=reason)

    def is_asked_for(self) -> bool:
        """What the operator would be told."""
        return state(self.listeners, self.proxy, now=self.proxy.now())["waiting"] != []

    async def until_held(self, count: int) -> None:
        async with asyncio.timeout(30):
            while self.proxy.demand.asking.total() != count:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        self.proxy.ending.set()
        await self.listeners.close()
        await self.listeners.end()
        await self.proxy.client.close()
        for runner in self._runners:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def world(**limits: Any) -> AsyncIterator[World]:
    """With limits other than the defaults."""
    directory, registry, port = Directory(), CollectorRegistry(), free_port()
    metrics = ActivatorMetrics(registry)
    proxy = Proxy(directory, Bounds(ActivatorSettings(**limits)), metrics, forward.session())
    found = World(proxy, Listeners(directory, proxy, metrics, host="127.0.0.1"), registry, port)
    found.apply()
    uid = next(iter(directory.objects.uids()))
    meta = BOOK | {"resourceVersion": "1"}
    directory.books.put({"metadata": meta, "data": dump({port: Entry(NAMESPACE, NAME, uid)})})
    await found.listeners.follow()
    try:
        yield found
    finally:
        await found.end()


async def post(
    client: aiohttp.ClientSession, url: str, body: Any = None, **options: Any
) -> tuple[int, Any, dict[str, str]]:
    """One request and its whole answer."""
    wanted = {"model": NAME} if body is None else body
    async with client.post(url, json=wanted, **options) as answer:
        return answer.status, await answer.json(), dict(answer.headers)
