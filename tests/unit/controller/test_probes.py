"""What makes the operator call itself dead, and what does not."""

import asyncio
import time

import pytest
from aiohttp.test_utils import TestClient, TestServer, unused_port

from llmfleet.controller.probes import BEAT_LIMIT, LAG_LIMIT, PASS_LIMIT, WATCH_LIMIT, Health, application, serve
from llmfleet.controller.queue import WorkQueue
from llmfleet.controller.watches import Watch, Watches
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.informer import Informer
from llmfleet.kube.pods import view_pod
from llmfleet.kube.resources import PODS as POD_RESOURCE
from llmfleet.kube.shelf import Shelf, label_key

LLMS = ("llmdeployments", "")


def health() -> Health:
    informer = Informer(
        cluster=Cluster.__new__(Cluster),
        resource=POD_RESOURCE,
        namespace="",
        selector="",
        shelf=Shelf(view_pod, label_key),
        on_change=lambda _: None,
    )
    return Health(Watches((LLMS,)), [informer], WorkQueue())


async def test_a_process_that_waits_is_alive_and_not_ready() -> None:
    """Without the CRD, the API server or the Lease: a restart would cure nothing."""
    state = health()
    assert (state.faults(), state.is_ready()) == ([], False)
    state.watches.known[LLMS] = Watch(heard_at=time.monotonic(), is_open=True)
    assert not state.is_ready()
    state.informers[0].listed.set()
    assert state.is_ready()


async def test_what_a_restart_cures_is_told() -> None:
    state = health()
    now = asyncio.get_running_loop().time()
    state.lag = LAG_LIMIT + 1
    state.watches.known[LLMS] = Watch(heard_at=time.monotonic())
    state.informers[0].heard_at = time.monotonic() - WATCH_LIMIT - 1
    state.queue.beat = now - BEAT_LIMIT - 1
    state.queue._running[asyncio.create_task(asyncio.sleep(0))] = now - PASS_LIMIT - 1
    faults = "; ".join(state.faults())
    for words in ("event loop", "watch is silent", "pass runs", "queue stands still"):
        assert words in faults


async def test_pages() -> None:
    state = health()
    async with TestClient(TestServer(application(state))) as client:
        assert (await client.get("/livez")).status == 200
        assert (await client.get("/readyz")).status == 503
        state.lag = LAG_LIMIT + 1
        answer = await client.get("/livez")
        assert (answer.status, await answer.text()) == (503, "the event loop was 11 s late")
        text = await (await client.get("/metrics")).text()
        assert "llmfleet_leader" in text
        assert "_created" not in text


async def test_what_is_no_request_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    port = unused_port()
    runner = await serve(health(), port=port)
    for text in (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", b"\x16\x03\x01 no HTTP\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text)
        assert b" 400 " in await reader.readline()
        writer.close()
    await runner.cleanup()
    assert caplog.records == []


async def test_a_blocked_event_loop_is_measured() -> None:
    state = health()
    task = asyncio.create_task(state.run())
    await asyncio.sleep(0.01)
    time.sleep(1.3)  # noqa: ASYNC251 - this is the fault
    await asyncio.sleep(0.05)
    assert 0.2 < state.lag < 10
    task.cancel()
