"""Stands between the operator and the API server, and stops the world at a chosen write."""

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web

from tests.cluster import ControlPlane

HOP_BY_HOP = {"host", "transfer-encoding", "content-length", "connection", "keep-alive"}


class WriteProxy:
    """Plain HTTP on loopback; passes everything on, but holds one write for ever, before or after it is done.

    Writes to the Lease and dry runs are not counted.
    """

    def __init__(self, cluster: ControlPlane) -> None:
        self._cluster = cluster
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._port = 0
        self.count = 0
        self.hold_at = 0
        """Number of the write to hold; 0: none."""
        self.is_done_first = False
        """Hold the answer instead of the request."""
        self.is_held = threading.Event()

    def arm(self, *, hold_at: int, is_done_first: bool) -> None:
        """Choose the write, and count from one again."""
        self.count, self.hold_at, self.is_done_first = 0, hold_at, is_done_first
        self.is_held.clear()

    def kubeconfig(self) -> Path:
        """A kubeconfig that leads through the proxy."""
        path = self._cluster.folder / "proxy.kubeconfig"
        cluster = {"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self._port}"}}
        context = {"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}
        users = [{"name": "nobody", "user": {}}]
        parts = {"clusters": [cluster], "contexts": [context], "users": users, "current-context": "proxy"}
        path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config"} | parts))
        return path

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()

    async def _start(self) -> None:
        pki = self._cluster.site.pki
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0), auto_decompress=False
        )
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()
        held = asyncio.all_tasks() - {asyncio.current_task()}  # calls of operators that were killed
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        is_chosen = self._is_chosen(request)
        if is_chosen and not self.is_done_first:
            await self._hold()
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
        url = self._cluster.site.server + str(request.rel_url)
        timeout = aiohttp.ClientTimeout(total=None)
        call: Any = self._session.request(
            request.method, url, headers=headers, data=await request.read() or None, timeout=timeout
        )
        async with call as answer:
            if is_chosen:
                await answer.read()
                await self._hold()
            return await _copy(request, answer)

    def _is_chosen(self, request: web.Request) -> bool:
        if request.method == "GET" or "dryRun" in request.query or "/leases" in request.path:
            return False
        self.count += 1
        return self.count == self.hold_at

    async def _hold(self) -> None:
        self.is_held.set()
        await asyncio.Event().wait()


async def _copy(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """The answer, piece by piece: a watch never ends."""
    headers = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
    copy = web.StreamResponse(status=answer.status, headers=headers)
    with contextlib.suppress(ConnectionResetError):  # the operator was killed
        await copy.prepare(request)
        async for piece in answer.content.iter_any():
            await copy.write(piece)
        await copy.write_eof()
    return copy
