"""Which activators count: those that are Ready and say, for this very object, that they listen."""

from typing import Any

import aiohttp
import pytest
from aiohttp import web

from llmfleet.api.activation import State
from llmfleet.controller.activators import PATIENCE, Activators, Asking
from llmfleet.controller.ports import PortBook
from llmfleet.controller.standing import Guards
from llmfleet.kube.objects import ObjectView, view_object
from llmfleet.kube.resources import Key
from tests.unit.controller.test_ports import book
from tests.unit.kube.bodies import UID, llm_body

PORT = 20000
LISTENS = State(listening={PORT: UID})


def sleepy(**changes: Any) -> ObjectView:
    return view_object(llm_body(scaling={"minReplicas": 0, "maxReplicas": 2} | changes))


def home(*addresses: str, ready: bool = True, port: int = 8080) -> dict[str, Any]:
    meta = {"namespace": "llmfleet", "name": "home", "uid": "home", "resourceVersion": "7"}
    endpoints = [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses]
    return {"metadata": meta, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": port}]}


@pytest.fixture
async def ports() -> PortBook:
    return await book()


class Told(list[Key]):
    """Objects for which other activators answer now."""


def board(ports: PortBook, told: Told | None = None) -> Activators:
    return Activators(ports, on_change=(told if told is not None else Told()).append)


async def test_nothing_is_known_before_all_were_asked_once(ports: PortBook) -> None:
    here = board(ports)
    assert here.guards(sleepy()) is None
    here.take({})
    assert here.guards(sleepy()) == Guards(PORT, ())


async def test_one_counts_once_it_listens_for_this_very_object(ports: PortBook) -> None:
    here = board(ports)
    here.guards(sleepy())
    here.take({"10.0.0.8": LISTENS, "10.0.0.9": State(listening={PORT: "another"}), "10.0.0.10": State()})
    assert here.guards(sleepy()) == Guards(PORT, ("10.0.0.8",))


@pytest.mark.parametrize("changes", [{"minReplicas": 1}, {"mode": "HPA"}])
async def test_who_may_not_go_to_zero_has_no_port(ports: PortBook, changes: dict[str, Any]) -> None:
    here = board(ports)
    here.guards(sleepy())
    assert here.guards(sleepy(**changes)) == Guards(None, ())
    assert ports.entries == {}


async def test_objects_are_told_of_who_comes_and_goes_and_of_nothing_else(ports: PortBook) -> None:
    told = Told()
    here = board(ports, told)
    here.guards(sleepy())
    for answers in ({}, {"10.0.0.8": LISTENS}, {"10.0.0.8": LISTENS}, {"10.0.0.8": LISTENS, "10.0.0.9": LISTENS}, {}):
        here.take(answers)
    assert told == [("team", "qwen")] * 4
    told.clear()
    here.take({"10.0.0.8": LISTENS})
    told.clear()
    here.take({"10.0.0.8": LISTENS.model_copy(update={"waiting": frozenset({UID})})})
    assert told == []
    assert (here.is_demanded(UID), list(here.waiting())) == (True, [("team", "qwen")])


async def test_one_that_misses_a_question_still_counts_for_a_while(ports: PortBook) -> None:
    here = board(ports)
    here.guards(sleepy())
    here.take({"10.0.0.8": LISTENS})
    for _ in range(PATIENCE - 1):
        here.take({"10.0.0.8": None})
        assert here.guards(sleepy()) == Guards(PORT, ("10.0.0.8",))
    here.take({"10.0.0.8": None})
    assert here.guards(sleepy()) == Guards(PORT, ())


def test_those_that_are_ready_are_asked_at_the_port_of_their_service() -> None:
    found = Activators(None, on_change=Told().append)  # type: ignore[arg-type]
    found.homes.put(home("10.0.0.8", "10.0.0.9", port=8081))
    assert found.ready() == {"10.0.0.8": 8081, "10.0.0.9": 8081}
    later = home("10.0.0.8", ready=False)
    later["metadata"]["resourceVersion"] = "8"
    found.homes.put(later)
    assert found.ready() == {}


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (web.json_response({"listening": {"20000": UID}, "waiting": [UID], "later": 1}), True),
        (web.json_response({"listening": {"x": 1}}), False),
        (web.Response(text="no json"), False),
        (web.Response(status=500), False),
        (web.Response(text=" " * 3_000_000), False),
        (web.Response(status=302, headers={"Location": "http://10.0.0.1/"}), False),
    ],
    ids=["good", "wrong", "no json", "error", "endless", "redirect"],
)
async def test_bad_answers_are_none(answer: web.Response, known: bool) -> None:  # noqa: FBT001 - a row
    async def say(_: web.Request) -> web.Response:
        return answer

    app = web.Application()
    app.router.add_get("/state", say)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    asking = Asking(None, None, is_leader=lambda: True)  # type: ignore[arg-type]
    async with aiohttp.ClientSession() as session:
        found = await asking._ask(session, "127.0.0.1", port)
    await runner.cleanup()
    assert (found is not None) is known
    if found:
        assert (found.listening, found.waiting) == ({20000: UID}, frozenset({UID}))
