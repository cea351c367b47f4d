"""How many connections there may be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from llmfleet.activator import listeners
from tests.unit.activator.world import World, world


@contextlib.asynccontextmanager
async def connected(here: World) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    try:
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()


async def until_connected(here: World, count: int) -> None:
    async with asyncio.timeout(20):
        while len(here.listeners._server.connections) != count:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)


async def test_one_connection_too_many_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as requests may be held, and MORE_CONNECTIONS; the next is answered 503 and closed, the others stay."""
    monkeypatch.setattr(listeners, "MORE_CONNECTIONS", 2)
    async with world(requests=1) as here, contextlib.AsyncExitStack() as full:
        for _ in range(2):
            await full.enter_async_context(connected(here))
        async with connected(here):
            await until_connected(here, 3)
            async with connected(here) as turned_away, asyncio.timeout(20):
                head = (await turned_away.read()).split(b"\r\n")
            assert head[0] == b"HTTP/1.1 503 Service Unavailable"
            assert {b"Retry-After: 5", b"Connection: close"} <= set(head)
            assert len(here.listeners._server.connections) == 3
        await until_connected(here, 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
