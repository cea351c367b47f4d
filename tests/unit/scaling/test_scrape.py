"""Looking at engines over real HTTP on loopback: good ones, slow ones, broken ones and hostile ones."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from llmfleet.api.settings import ScalingSettings
from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling import scrape
from llmfleet.scaling.clock import SystemClock
from llmfleet.scaling.loop import ScalingLoop
from llmfleet.scaling.metrics import ScalingMetrics
from llmfleet.scaling.ports import ObjectRef, PodRef
from llmfleet.scaling.scrape import ErrorKind, ScrapeError, Scraper
from llmfleet.scaling.track import Sample
from tests.unit.scaling.world import World

REAL = (Path(__file__).parents[1] / "data" / "vllm-0.32.0-metrics-idle.txt").read_text()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PATIENCE = 30.0
"""Timeout where the answer comes: long, so that a busy machine does not matter."""


def pod(port: int, ip: str = "127.0.0.1") -> PodRef:
    return PodRef(name=f"pod-{port}", uid=str(port), ip=ip, port=port, ready=True)


@asynccontextmanager
async def engine(handler: Handler, ip: str = "127.0.0.1", path: str = "/metrics") -> AsyncIterator[PodRef]:
    """An HTTP server with this answer to a GET of that path."""
    app = web.Application()
    app.router.add_get(path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, ip, 0).start()
    try:
        yield pod(runner.addresses[0][1], ip)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_engine(answer: bytes) -> AsyncIterator[PodRef]:
    """A TCP server that sends these bytes whatever it is asked, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield pod(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


async def look(target: PodRef, *, timeout_seconds: float = PATIENCE) -> Sample | ScrapeError:
    async with Scraper(timeout_seconds=timeout_seconds, monotonic=lambda: 42.0) as scraper:
        return await scraper.scrape(target, suspect=False)


async def page(_: web.Request) -> web.StreamResponse:
    return web.Response(text=REAL)


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError


async def drip(request: web.Request) -> web.StreamResponse:
    """A byte now and then, for ever: never idle, never done."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"#")
        await asyncio.sleep(0.05)


async def flood(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(200):
        await response.write(b"# flood\n" * 65536)
    return response


async def redirect(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:1/secret")


async def missing(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def bomb(_: web.Request) -> web.StreamResponse:
    """A megabyte that would unpack to a gigabyte."""
    return web.Response(body=zlib.compress(bytes(1 << 20)), headers={"Content-Encoding": "deflate"})


async def endless_series(_: web.Request) -> web.StreamResponse:
    return web.Response(text="vllm:num_requests_waiting 1\n" * 20000)


async def not_text(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\xff\xfe vllm\n\xffvllm:num_requests_running 3\nvllm:num_requests_waiting 2\n")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b'{"version":"0.32.0"}', "0.32.0"),
        (b'{"version":"0.33.1.dev7+gabc"}', "0.33.1.dev7+gabc"),
        (b'{"version":"latest"}', ""),
        (b'{"version":32}', ""),
        (b'["0.32.0"]', ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (b"9" * (1 << 21), ""),
    ],
)
async def test_the_version_is_told_or_not(answer: bytes, told: str) -> None:
    async def version(_: web.Request) -> web.StreamResponse:
        return web.Response(body=answer, content_type="application/json")

    async with engine(version, path="/version") as target:
        scraper = Scraper(timeout_seconds=PATIENCE, monotonic=lambda: 42.0)
        async with scraper:
            assert await scraper.version(target) == told
    async with engine(page) as target, scraper:
        assert await scraper.version(target) == "", "there is no such page"


async def test_a_real_page() -> None:
    async with engine(page) as target:
        found = await look(target)
    assert isinstance(found, Sample)
    assert (found.at, found.metrics.generation_tokens) == (42.0, 64.0)


async def test_an_address_of_version_6() -> None:
    async with engine(page, "::1") as target:
        assert isinstance(await look(target), Sample)


@pytest.mark.parametrize("handler", [hang, drip])
async def test_slow_answers(handler: Handler) -> None:
    async with engine(handler) as target:
        assert await look(target, timeout_seconds=0.3) == ScrapeError(ErrorKind.TIMEOUT)


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (flood, ErrorKind.TOO_LARGE),
        (redirect, ErrorKind.STATUS),
        (missing, ErrorKind.STATUS),
        (bomb, ErrorKind.INVALID),
        (endless_series, ErrorKind.INVALID),
    ],
)
async def test_bad_answers(handler: Handler, kind: ErrorKind) -> None:
    async with engine(handler) as target:
        found = await look(target)
    assert isinstance(found, ScrapeError)
    assert found.kind is kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", ErrorKind.INVALID),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", ErrorKind.INVALID),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nvllm:", ErrorKind.INVALID),
        (b"", ErrorKind.CONNECT),
    ],
    ids=["another protocol", "endless header", "broken off", "hangs up"],
)
async def test_broken_protocols(answer: bytes, kind: ErrorKind) -> None:
    async with raw_engine(answer) as target:
        found = await look(target)
    assert isinstance(found, ScrapeError)
    assert found.kind is kind


async def test_nobody_there() -> None:
    async with engine(page) as target:
        pass
    found = await look(target)
    assert isinstance(found, ScrapeError)
    assert found.kind is ErrorKind.CONNECT


async def test_bytes_that_are_no_text_hide_nothing_else() -> None:
    async with engine(not_text) as target:
        found = await look(target)
    assert isinstance(found, Sample)
    assert (found.metrics.running, found.metrics.waiting) == (None, 2.0)


async def test_connections_are_kept() -> None:
    peers = set()

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(text=REAL)

    async with engine(note) as target, Scraper(timeout_seconds=PATIENCE, monotonic=time.monotonic) as scraper:
        for _ in range(5):
            assert isinstance(await scraper.scrape(target, suspect=False), Sample)
    assert len(peers) == 1


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with engine(page) as target:
        assert isinstance(await look(target), Sample)


async def test_the_request_says_what_it_wants() -> None:
    """Text, unpacked, and neither cookies nor keys."""
    headers: list[dict[str, str]] = []

    async def cookie(request: web.Request) -> web.StreamResponse:
        headers.append(dict(request.headers))
        return web.Response(text=REAL, headers={"Set-Cookie": "spy=1; Path=/"})

    async with engine(cookie) as target, Scraper(timeout_seconds=PATIENCE, monotonic=time.monotonic) as scraper:
        await scraper.scrape(target, suspect=False)
        await scraper.scrape(target, suspect=False)
    assert [sorted(seen) for seen in headers] == [["Accept", "Accept-Encoding", "Host", "User-Agent"]] * 2
    assert headers[0]["Accept-Encoding"] == "identity"


async def test_pods_known_to_be_slow_never_hold_up_the_others() -> None:
    """A hundred hanging pods wait for each other; a good one is answered while the first of them still hang."""
    scraper = Scraper(timeout_seconds=PATIENCE, monotonic=time.monotonic)
    async with engine(hang) as slow, engine(page) as good, scraper:
        hanging = [asyncio.create_task(scraper.scrape(slow, suspect=True)) for _ in range(100)]
        await asyncio.sleep(0)
        assert isinstance(await scraper.scrape(good, suspect=False), Sample)
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_looks_under_way_are_bounded() -> None:
    now, most = 0, 0

    async def count(_: web.Request) -> web.StreamResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return web.Response(text=REAL)

    async with engine(count) as target, Scraper(timeout_seconds=PATIENCE, monotonic=time.monotonic) as scraper:
        await asyncio.gather(*(scraper.scrape(target, suspect=i % 2 == 0) for i in range(200)))
    assert scrape.SUSPECTS < most <= scrape.CONCURRENCY


async def test_outside_of_its_context_it_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="outside"):
        await Scraper(timeout_seconds=1, monotonic=time.monotonic).scrape(pod(1), suspect=False)


async def test_the_loop_over_real_connections() -> None:
    """An engine that is full makes the real loop, scraper and clock ask for a second replica."""
    full = REAL.replace('vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.0', "vllm:kv_cache_usage_perc 0.97")

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=full)

    world = World()
    world.add(ObjectRef("team", "chat", "uid"), EngineMetrics())
    clock = SystemClock()
    async with engine(answer) as target, Scraper(timeout_seconds=PATIENCE, monotonic=clock.monotonic) as scraper:
        world.change(ObjectRef("team", "chat", "uid"), pods=(target,))
        metrics = ScalingMetrics(CollectorRegistry())
        loop = ScalingLoop(
            directory=world,
            actuator=world,
            scraper=scraper,
            settings=ScalingSettings(scrape_period_seconds=0.05, decision_period_seconds=0.05),
            guard=world.guard(metrics),
            clock=clock,
            metrics=metrics,
            is_leader=lambda: True,
            on_report=lambda _ref, _report: None,
        )
        running = asyncio.create_task(loop.run())
        await world.wrote.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert world.writes == [("scale", "chat", 2, "2")]
