"""An activator on real sockets: what it holds, in which order it lets go, and what it never wakes an object for."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from llmfleet.activator import listeners, proxy
from tests.unit.activator.world import CHAT, NAME, World, post, world

KEY = {"access": {"apiKeySecretRef": {"name": "key", "key": "key"}}}


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


async def echo(request: web.Request) -> web.Response:
    """What came, so that the test sees what an engine sees."""
    body = await request.text()
    return web.json_response({"path": request.path_qs, "headers": dict(request.headers), "body": body})


async def test_a_request_waits_and_is_answered_by_the_replica(client: aiohttp.ClientSession) -> None:
    async with world() as here:
        waiting = asyncio.create_task(post(client, here.url(CHAT + "?a=b%20c"), headers={"X-Mine": "1"}))
        await here.until_held(1)
        assert here.is_asked_for()
        here.ready(await here.engine(echo))
        status, body, headers = await waiting
        assert (status, body["path"], json.loads(body["body"])) == (200, f"{CHAT}?a=b%20c", {"model": NAME})
        assert (body["headers"]["X-Mine"], body["headers"]["Host"]) == ("1", f"127.0.0.1:{here.port}")
        assert headers["Connection"] == "close", "the client's next request must go to the replica"
        assert not here.is_asked_for()
        assert here.value("llmfleet_activator_wakes_total") == here.value("llmfleet_activator_forwarded_total") == 1
        assert (here.value("llmfleet_activator_held_requests"), here.proxy.bounds.held_bytes) == (0, 0)


async def test_two_hundred_wait_and_leave_in_the_order_in_which_they_came(client: aiohttp.ClientSession) -> None:
    seen: list[int] = []

    async def note(request: web.Request) -> web.Response:
        seen.append((await request.json())["n"])
        return web.json_response({})

    async with world() as here:
        waiting = []
        for number in range(200):
            waiting.append(asyncio.create_task(post(client, here.url(), {"model": NAME, "n": number})))
            await here.until_held(number + 1)
        here.ready(await here.engine(note))
        assert {status for status, _, _ in await asyncio.gather(*waiting)} == {200}
    assert seen == list(range(200))


async def test_a_slow_answer_keeps_no_later_request_waiting(client: aiohttp.ClientSession) -> None:
    together = asyncio.Barrier(3)

    async def meet(_: web.Request) -> web.Response:
        async with asyncio.timeout(20):
            await together.wait()
        return web.json_response({})

    async with world() as here:
        waiting = [asyncio.create_task(post(client, here.url())) for _ in range(3)]
        await here.until_held(3)
        here.ready(await here.engine(meet))
        assert [status for status, _, _ in await asyncio.gather(*waiting)] == [200] * 3


async def test_an_answer_is_streamed_as_it_comes(client: aiohttp.ClientSession) -> None:
    go_on = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await go_on.wait()
        await response.write(b"data: [DONE]\n\n")
        return response

    async with world() as here:
        here.ready(await here.engine(stream))
        async with client.post(here.url(), json={"model": NAME, "stream": True}) as answer:
            assert await answer.content.readline() == b"data: 1\n"
            go_on.set()
            assert await answer.content.read() == b"\ndata: [DONE]\n\n"


async def test_a_stream_that_breaks_off_is_not_made_to_look_whole(client: aiohttp.ClientSession) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with world() as here:
        here.ready(await here.engine(cut))
        with pytest.raises(aiohttp.ClientPayloadError):
            async with client.post(here.url(), json={"model": NAME}) as answer:
                await answer.read()


async def test_a_replica_that_ends_before_it_answers_is_told_as_such(client: aiohttp.ClientSession) -> None:
    """Nothing is sent twice of which a replica may have seen the first."""
    seen = []

    async def end(request: web.Request) -> web.Response:
        seen.append(1)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with world() as here:
        here.ready(await here.engine(end))
        status, body, headers = await post(client, here.url())
        assert (status, headers["Retry-After"], len(seen)) == (503, "1", 1)
        assert "ended before it answered" in body["error"]["message"]


async def test_a_replica_that_cannot_be_reached_is_tried_again(client: aiohttp.ClientSession) -> None:
    """Ready is not yet reachable everywhere."""
    async with world() as here:
        address = await here.engine(echo)
        runner = here._runners.pop()
        await runner.cleanup()
        here.ready(address)
        waiting = asyncio.create_task(post(client, here.url()))
        await here.until_held(1)
        await asyncio.sleep(2 * proxy.AGAIN_SECONDS)
        assert not waiting.done()
        here.ready(await here.engine(echo), name="qwen-2")
        assert (await waiting)[0] == 200


async def test_a_pod_that_is_no_longer_ready_gets_nothing(client: aiohttp.ClientSession) -> None:
    """The drain to zero: the old replica ends, the request waits for a new one."""
    async with world() as here:
        address = await here.engine(echo)
        here.ready(address)
        here.ready(address, is_ready=False)
        waiting = asyncio.create_task(post(client, here.url()))
        await here.until_held(1)
        assert here.is_asked_for()
        here.ready(address)
        assert (await waiting)[0] == 200


@pytest.mark.parametrize(
    ("spec", "path", "body", "status", "words", "reason"),
    [
        ({}, CHAT, {"model": "other"}, 404, "The model `other` does not exist. There is: qwen.", "UnknownModel"),
        (
            {"model": {"source": "a/b", "servedNames": ["x"]}},
            CHAT,
            {"model": NAME},
            404,
            "There is: x.",
            "UnknownModel",
        ),
        ({}, CHAT, ["model"], 400, "must be a JSON object", "BadBody"),
        ({}, CHAT, {"model": 7}, 400, "must be a string", "BadBody"),
        ({}, "/v1/nothing", {}, 404, "POST /v1/nothing is not answered", "UnknownPath"),
        ({}, "/metrics", {}, 404, "is not answered", "UnknownPath"),
        ({}, "/sleep", {}, 404, "is not answered", "UnknownPath"),
        (KEY, CHAT, {"model": NAME}, 401, "asks for a key", "NoKey"),
        ({"suspend": True}, CHAT, {"model": NAME}, 503, "is suspended", "Suspended"),
    ],
)
async def test_what_no_engine_would_take_wakes_none(  # noqa: PLR0917 - a row
    client: aiohttp.ClientSession, spec: dict[str, Any], path: str, body: Any, status: int, words: str, reason: str
) -> None:
    async with world() as here:
        here.apply(**spec)
        found, answer, _ = await post(client, here.url(path), body)
        assert (found, words in answer["error"]["message"]) == (status, True), answer
        assert (here.is_asked_for(), here.refused(reason)) == (False, 1)


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"{", {}),
        (b"[" * 100_000, {}),
        (b"\xff", {}),
        (b"", {}),
        (b"\x1f\x8b", {"Content-Encoding": "gzip"}),
    ],
)
async def test_bodies_that_are_no_json_wake_nothing(
    client: aiohttp.ClientSession, data: bytes, headers: dict[str, str]
) -> None:
    async with world() as here:
        sent = {"Content-Type": "application/json"} | headers
        async with client.post(here.url(), data=data, headers=sent) as answer:
            assert (answer.status, here.is_asked_for()) == (400, False)


async def test_a_wrong_key_wakes_for_nobody_here_knows_the_right_one(client: aiohttp.ClientSession) -> None:
    async with world() as here:
        here.apply(**KEY)
        waiting = asyncio.create_task(post(client, here.url(), headers={"Authorization": "Bearer wrong"}))
        await here.until_held(1)
        assert here.is_asked_for()
        here.ready(await here.engine(echo))
        assert (await waiting)[1]["headers"]["Authorization"] == "Bearer wrong"


async def test_health_and_models_are_answered_without_a_replica(client: aiohttp.ClientSession) -> None:
    async with world() as here:
        here.apply(model={"source": "a/b", "servedNames": ["x", "y"]})
        async with client.get(here.url("/health")) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        async with client.get(here.url("/v1/models")) as answer:
            assert [model["id"] for model in (await answer.json())["data"]] == ["x", "y"]
        assert not here.is_asked_for()


async def test_with_a_replica_every_path_is_passed_on(client: aiohttp.ClientSession) -> None:
    async with world() as here:
        here.ready(await here.engine(echo))
        assert (await post(client, here.url("/v1/anything"), {}))[1]["path"] == "/v1/anything"


async def test_where_a_policy_says_who_may_connect_nothing_is_passed_on(client: aiohttp.ClientSession) -> None:
    """Else everybody who reaches the activator would reach the engine. The object is woken all the same."""
    seen: list[int] = []

    async def note(_: web.Request) -> web.Response:
        seen.append(1)
        return web.Response()

    async with world() as here:
        here.apply(access={"networkPolicy": {"from": [{"podSelector": {}}]}}, status={"engine": {"startupSeconds": 40}})
        status, body, headers = await post(client, here.url())
        assert (status, headers["Retry-After"], here.refused("NetworkPolicy")) == (503, "40", 1)
        assert "networkPolicy" in body["error"]["message"]
        assert here.is_asked_for()
        here.ready(await here.engine(note))
        assert (await post(client, here.url()))[0] == 503
    assert seen == []


async def test_more_than_may_wait_are_sent_away_and_asked_to_come_again(client: aiohttp.ClientSession) -> None:
    async with world(requests_per_object=3) as here:
        here.apply(status={"engine": {"startupSeconds": 25}})
        waiting = [asyncio.create_task(post(client, here.url())) for _ in range(3)]
        await here.until_held(3)
        status, body, headers = await post(client, here.url())
        assert (status, 1 <= int(headers["Retry-After"]) <= 25, here.refused("TooManyHeld")) == (503, True, 1)
        assert (body["error"]["type"], body["error"]["code"]) == ("service_unavailable", 503)
        here.ready(await here.engine(echo))
        assert [status for status, _, _ in await asyncio.gather(*waiting)] == [200] * 3


async def test_all_objects_together_have_a_limit_too(client: aiohttp.ClientSession) -> None:
    async with world(requests=1) as here:
        waiting = asyncio.create_task(post(client, here.url()))
        await here.until_held(1)
        assert (await post(client, here.url()))[0] == 503
        waiting.cancel()


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_have_limits(client: aiohttp.ClientSession, chunked: bool) -> None:  # noqa: FBT001 - a row
    text = json.dumps({"model": NAME, "prompt": "x" * 3000}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield text

    def data() -> Any:
        return pieces() if chunked else text

    headers = {"Content-Type": "application/json"}
    async with (
        world(body_mib=2000 / 2**20) as here,
        client.post(here.url(), data=data(), headers=headers) as answer,
    ):
        assert (answer.status, here.refused("TooLarge")) == (413, 1)
    async with world(held_mib=5000 / 2**20) as here:
        waiting = asyncio.create_task(client.post(here.url(), data=data(), headers=headers))
        await here.until_held(1)
        async with client.post(here.url(), data=data(), headers=headers) as answer:
            assert (answer.status, "Retry-After" in answer.headers, here.refused("TooManyBytesHeld")) == (503, True, 1)
        waiting.cancel()


async def test_nothing_is_held_for_ever(client: aiohttp.ClientSession) -> None:
    async with world(hold_seconds=0.2) as here:
        status, body, headers = await post(client, here.url())
        assert (status, headers["Retry-After"], here.refused("NoReplicaInTime")) == (503, "10", 1)
        assert "No replica of qwen was ready" in body["error"]["message"]
        assert here.is_asked_for(), "its client comes again"
        assert here.proxy.bounds.held.total() == 0


async def test_a_long_answer_is_no_long_wait(client: aiohttp.ClientSession) -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.json_response({})

    async with world(hold_seconds=0.3) as here:
        here.ready(await here.engine(slow))
        assert (await post(client, here.url()))[0] == 200


async def test_a_client_that_hangs_up_frees_its_place_and_asks_no_more(client: aiohttp.ClientSession) -> None:
    async with world() as here:
        waiting = asyncio.create_task(post(client, here.url()))
        await here.until_held(1)
        waiting.cancel()
        await here.until_held(0)
        assert (here.is_asked_for(), here.proxy.bounds.held.total(), here.proxy.bounds.held_bytes) == (False, 0, 0)
        assert here.value("llmfleet_activator_left_total") == 1


async def test_one_that_hangs_up_keeps_nobody_behind_it_waiting(client: aiohttp.ClientSession) -> None:
    async with world() as here:
        first = asyncio.create_task(post(client, here.url()))
        await here.until_held(1)
        second = asyncio.create_task(post(client, here.url()))
        await here.until_held(2)
        first.cancel()
        await here.until_held(1)
        here.ready(await here.engine(echo))
        assert (await second)[0] == 200


async def test_at_the_end_those_that_wait_are_sent_away(client: aiohttp.ClientSession) -> None:
    async with world() as here:
        waiting = [asyncio.create_task(post(client, here.url())) for _ in range(3)]
        await here.until_held(3)
        here.proxy.ending.set()
        assert [(status, headers["Retry-After"]) for status, _, headers in await asyncio.gather(*waiting)] == [
            (503, "1")
        ] * 3


async def test_a_port_whose_object_is_gone_is_nobody_s(client: aiohttp.ClientSession) -> None:
    async with world() as here:
        for uid in here.directory.objects.uids():
            meta = {"namespace": "team", "name": NAME, "uid": uid, "resourceVersion": "99"}
            here.directory.objects.remove({"metadata": meta})
        status, _, headers = await post(client, here.url())
        assert (status, "Retry-After" in headers, here.is_asked_for()) == (503, True, False)


async def raw(here: World, text: bytes) -> bytes:
    """What comes back for bytes that no HTTP client would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    writer.write(text)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "text",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(200)) + b"\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["no http", "version", "negative length", "two lengths", "long header", "many headers", "broken chunk"],
)
async def test_what_is_no_http_is_refused(text: bytes) -> None:
    async with world() as here:
        assert (await raw(here, text)).split()[1] == b"400", text
        assert not here.is_asked_for()


async def test_a_url_in_the_request_line_leads_nowhere_else(client: aiohttp.ClientSession) -> None:
    """Where a request is sent is said by the pods alone."""
    async with world() as here:
        here.ready(await here.engine(echo))
        head = b"GET http://10.0.0.1:6443/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert b'"path": "/api"' in await raw(here, head)
        answer = await raw(here, b"GET @10.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.split()[1] == b"400"
        assert (await post(client, here.url()))[0] == 200


async def test_who_sends_no_head_or_no_body_in_time_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(proxy, "BODY_SECONDS", 0.2)
    async with world() as here:
        with contextlib.suppress(ConnectionResetError):
            assert await raw(here, b"GET /health HT") == b""
        slow = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        assert (await raw(here, slow)).startswith(b"HTTP/1.1 408")
        assert here.proxy.bounds.held.total() == 0


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    async with world() as here:
        here.ready(await here.engine(echo))
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        async with asyncio.timeout(20):
            assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
            writer.write(b"{}")
            assert b"200 OK" in await reader.read()
        writer.close()
