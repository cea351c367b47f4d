"""The ear on the watches, at a server that lists once and then sends now and then."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from llmfleet.controller.watches import Watches, _source

PODS = ("pods", "")  # any resource would do


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://x/api/v1/pods?labelSelector=a", (("pods", ""), False)),
        ("https://x/api/v1/pods?watch=true&resourceVersion=5", (("pods", ""), True)),
        ("https://x/api/v1/namespaces/team/pods", (("pods", "team"), False)),
        ("https://x/apis/serving.llmfleet.io/v1alpha1/llmdeployments?watch=true", (("llmdeployments", ""), True)),
        ("https://x/api/v1/namespaces", (("namespaces", ""), False)),
    ],
)
def test_what_a_request_is_about(url: str, source: tuple[tuple[str, str], bool]) -> None:
    assert _source(url) == source


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, asyncio.Queue[bytes]]]:
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.Response(text="{}")
        stream = web.StreamResponse()
        await stream.prepare(request)
        while True:
            await stream.write(await lines.get())

    app = web.Application()
    app.router.add_get("/api/v1/pods", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1/pods", lines
    await runner.cleanup()


async def test_bytes_are_signs_of_life_and_silence_is_none(server: tuple[str, asyncio.Queue[bytes]]) -> None:
    url, lines = server
    watches = Watches((PODS,))
    async with aiohttp.ClientSession(trace_configs=[watches.trace()]) as session:
        assert not watches.are_open
        async with session.get(url):
            pass
        assert (watches.known[PODS].lists, watches.are_open, watches.relisted("pods")) == (1, False, 0)
        async with session.get(url, params={"watch": "true"}) as stream:
            assert watches.are_open
            watch = watches.known[PODS]
            watch.heard_at = time.monotonic() - 100
            watches.look()
            assert watches.oldest() > 99
            lines.put_nowait(b'{"type":"BOOKMARK"}\n')
            await stream.content.readline()
            watches.look()
            assert watches.oldest() < 50
        async with session.get(url):
            assert watches.relisted("pods") == 1


async def test_other_requests_are_nobodys_sign_of_life(server: tuple[str, asyncio.Queue[bytes]]) -> None:
    url, _ = server
    watches = Watches((("services", ""),))
    async with aiohttp.ClientSession(trace_configs=[watches.trace()]) as session, session.get(url):
        assert watches.known == {}
    assert watches.oldest() == 0.0
