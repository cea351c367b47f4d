"""The watch of the children, at a server that answers from a script."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from llmfleet.kube import informer as informers
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.informer import Informer
from llmfleet.kube.pods import view_pod
from llmfleet.kube.resources import PODS, Key
from llmfleet.kube.shelf import Shelf, label_key
from tests.unit.kube.bodies import pod_body

QWEN: Key = ("team", "qwen")


def pod(name: str, version: int) -> dict[str, Any]:
    body = pod_body(name)
    body["metadata"]["resourceVersion"] = str(version)
    return body


def line(kind: str, body: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


class Script:
    """A server whose lists are given one after the other, and whose watches send what is put into the queue."""

    def __init__(self) -> None:
        self.lists: Iterator[list[dict[str, Any]] | int] = iter(())
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.watched: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.query["labelSelector"] == "llmfleet.io/deployment"
        if "watch" not in request.query:
            found = next(self.lists)
            if isinstance(found, int):
                return web.json_response({"message": "User x cannot list pods"}, status=found)
            return web.json_response({"items": found, "metadata": {"resourceVersion": "100"}})
        self.watched.append(request.query["resourceVersion"])
        stream = web.StreamResponse()
        await stream.prepare(request)
        while (sent := await self.lines.get()) is not None:
            if request.transport is None or request.transport.is_closing():
                self.lines.put_nowait(sent)  # for the watch that came after this one
                break
            await stream.write(sent)
        return stream


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110 - what is waited for happens in the code under test
            await asyncio.sleep(0.01)


class Seen:
    """An informer at work on a script."""

    def __init__(self, script: Script, informer: Informer, changes: list[Key]) -> None:
        self.script = script
        self.informer = informer
        self.changes = changes
        self.absences: list[str] = []

    def names(self) -> set[str]:
        return {view.name for view in self.informer.shelf.all(QWEN)}

    async def until(self, names: set[str]) -> None:
        await until(lambda: self.names() == names)

    async def until_watched(self, count: int) -> None:
        await until(lambda: len(self.script.watched) >= count)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informers, "PAUSES", (0.01,))
    monkeypatch.setattr(informers, "SHORTEST", 0.01)
    monkeypatch.setattr(informers, "ABSENT_PAUSE", 0.01)


@asynccontextmanager
async def at_work(*lists: list[dict[str, Any]] | int, is_optional: bool = False) -> AsyncIterator[Seen]:
    script, changes = Script(), list[Key]()
    script.lists = iter(lists)
    app = web.Application()
    app.router.add_get("/api/v1/pods", script.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with client.ApiClient(configuration=client.Configuration(host=host)) as api:
        informer = Informer(
            cluster=Cluster(api, may_write=lambda: False),
            resource=PODS,
            namespace="",
            selector="llmfleet.io/deployment",
            shelf=Shelf(view_pod, label_key),
            on_change=changes.append,
        )
        seen = Seen(script, informer, changes)
        informer.on_absence = seen.absences.append if is_optional else None
        task = asyncio.create_task(informer.run())
        yield seen
        task.cancel()
        await asyncio.wait([task])
    await runner.cleanup()


async def test_what_is_there_is_listed_and_each_change_is_told_once() -> None:
    async with at_work([pod("old", 90)]) as seen:
        await seen.until({"old"})
        assert seen.informer.listed.is_set()
        seen.script.lines.put_nowait(line("ADDED", pod("new", 101)))
        await seen.until({"old", "new"})
        seen.script.lines.put_nowait(line("MODIFIED", pod("new", 102)))  # nothing that matters
        seen.script.lines.put_nowait(line("DELETED", pod("old", 103)))
        await seen.until({"new"})
        assert seen.changes == [QWEN] * 3
        assert seen.script.watched == ["100"]


async def test_a_watch_goes_on_where_it_ended() -> None:
    """Also after a bookmark; nothing is listed again."""
    async with at_work([]) as seen:
        seen.script.lines.put_nowait(line("ADDED", pod("new", 101)))
        seen.script.lines.put_nowait(line("BOOKMARK", {"metadata": {"resourceVersion": "150"}}))
        seen.script.lines.put_nowait(None)
        await seen.until_watched(2)
        assert seen.script.watched == ["100", "150"]
        assert seen.names() == {"new"}


async def test_a_version_that_is_gone_means_a_new_list_and_what_is_missing_is_forgotten() -> None:
    async with at_work([pod("old", 90), pod("kept", 91)], [pod("kept", 91)]) as seen:
        await seen.until({"old", "kept"})
        seen.changes.clear()
        seen.script.lines.put_nowait(line("ERROR", {"code": 410, "message": "too old resource version"}))
        await seen.until({"kept"})
        assert seen.changes == [QWEN]
        await seen.until_watched(2)


async def test_silence_ends_a_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informers, "SILENCE", 0.05)
    async with at_work([]) as seen:
        await seen.until_watched(3)
        assert set(seen.script.watched) == {"100"}
        assert seen.informer.silence() < 1


async def test_an_api_server_that_refuses_is_asked_again() -> None:
    async with at_work(503, 403, [pod("old", 90)]) as seen:
        await seen.until({"old"})
        seen.script.lines.put_nowait(b"<html>not JSON\n")  # a proxy in between
        await seen.until_watched(2)
        seen.script.lines.put_nowait(line("ADDED", pod("new", 101)))
        await seen.until({"old", "new"})


@pytest.mark.parametrize("status", [404, 403])
async def test_a_kind_that_may_be_missing_is_looked_for_until_it_comes(status: int) -> None:
    """Meanwhile it counts as listed, so that nothing waits for it."""
    async with at_work(status, status, [pod("new", 90)], is_optional=True) as seen:
        await seen.until({"new"})
        assert seen.informer.listed.is_set()
        assert [bool(why) for why in seen.absences] == [True, True, False]
        assert seen.changes == [QWEN]


async def test_a_kind_that_goes_takes_what_was_known_with_it() -> None:
    async with at_work([pod("old", 90)], 404, 404, [], is_optional=True) as seen:
        await seen.until({"old"})
        seen.script.lines.put_nowait(line("ERROR", {"code": 410, "message": "too old resource version"}))
        await seen.until(set())
        assert seen.changes == [QWEN, QWEN]
        await until(lambda: len(seen.absences) == 4)
        assert [bool(why) for why in seen.absences] == [False, True, True, False]


async def test_what_may_not_be_seen_any_more_is_still_known() -> None:
    """A right that was taken away says nothing of what is there."""
    async with at_work([pod("old", 90)], 403, 403, [pod("old", 90)], is_optional=True) as seen:
        await seen.until({"old"})
        seen.script.lines.put_nowait(line("ERROR", {"code": 410, "message": "too old resource version"}))
        await until(lambda: len(seen.absences) == 4)
        assert seen.changes == [QWEN]
