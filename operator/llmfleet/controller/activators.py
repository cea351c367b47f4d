"""Which activators there are, for which objects each of them listens, and which objects are asked for.

Activators write nothing anywhere. Those that are Ready stand in the slices of their own Service; each is asked twice a
second, and its answer is all that the operator believes: it stands in for an object once it says that it listens at the
object's port for this very object, and while requests wait there the autoscaler wakes the object.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp

from llmfleet.api.activation import STATE_PATH, Entry, State
from llmfleet.api.v1alpha1 import ScalingMode
from llmfleet.controller.ports import PortBook
from llmfleet.controller.standing import Guards
from llmfleet.kube.objects import ObjectView
from llmfleet.kube.resources import Key
from llmfleet.kube.shelf import Shelf, own_key

logger = logging.getLogger(__name__)

ASK_PERIOD = 0.5
"""Seconds between two questions to an activator."""
ASK_TIMEOUT = 2.0
"""Seconds after which one has not answered."""
PATIENCE = 3
"""Questions without an answer after which an activator no longer counts."""
LARGEST_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeView:
    """A slice of the activators' own Service."""

    uid: str
    version: int
    ready: tuple[str, ...]
    """Addresses."""
    port: int
    """Of the activators' own pages; 0: none is known."""
    family: str


def view_home(body: Mapping[str, Any], _: HomeView | None = None) -> HomeView:
    """Read one."""
    meta, ready = body["metadata"], []
    for endpoint in body.get("endpoints") or []:
        conditions = endpoint.get("conditions") or {}
        if conditions.get("ready") is not False and not conditions.get("terminating"):
            ready += endpoint["addresses"]
    return HomeView(
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        ready=tuple(ready),
        port=next((port["port"] or 0 for port in body.get("ports") or []), 0),
        family=body["addressType"],
    )


class Known(NamedTuple):
    """One activator."""

    state: State = State()
    missed: int = 0


@dataclass
class Activators:
    """The board. What it says changes in `take` alone."""

    book: PortBook
    on_change: Callable[[Key], None]
    """Called with the key of each object for which another set of activators answers now."""
    homes: Shelf[HomeView] = field(default_factory=lambda: Shelf(view_home, own_key))
    early: set[Key] = field(default_factory=set)
    """Objects that were asked about before it was known which ports are given out."""
    is_known: bool = False
    """Whether all that are Ready have been asked once."""
    _known: dict[str, Known] = field(default_factory=dict)
    """By address."""

    def guards(self, target: ObjectView) -> Guards | None:
        """Who stands in for an object, which gets a port with the first question; None: not known yet."""
        owner = Entry(target.namespace, target.name, target.uid)
        if not _may_sleep(target):
            self.book.drop(owner[:2])
            return Guards(None, ())
        if not self.book.is_loaded:
            self.early.add(owner[:2])
            return None
        port = self.book.port_of(owner)
        if not self.is_known:
            return None
        return Guards(port, self._listening(port, owner.uid), self._family())

    def is_demanded(self, uid: str) -> bool:
        """Whether requests for the object wait."""
        return any(uid in one.state.waiting for one in self._known.values())

    def waiting(self) -> Iterable[Key]:
        """Objects for which requests wait."""
        uids = {uid for one in self._known.values() for uid in one.state.waiting}
        return [entry[:2] for entry in self.book.entries.values() if entry.uid in uids] if uids else []

    def count(self) -> int:
        """Activators that answer."""
        return sum(bool(one.missed < PATIENCE) for one in self._known.values())

    def ready(self) -> dict[str, int]:
        """Addresses of those that are to be asked, and the port of each."""
        homes = [home for here in self.homes.items.values() for home in here.values() if home.port]
        return {address: home.port for home in homes for address in home.ready}

    def take(self, answers: Mapping[str, State | None]) -> None:
        """Take note of what all that are Ready answered; None where one did not."""
        known = {address: self._next(address, state) for address, state in answers.items()}
        if self.is_known and known == self._known:
            return
        before, was_known = self._posts(), self.is_known
        self._known, self.is_known = known, True
        after = self._posts()
        for port, entry in self.book.entries.items():
            if not was_known or before.get(port) != after.get(port):
                self.on_change(entry[:2])

    def _next(self, address: str, state: State | None) -> Known:
        old = self._known.get(address, Known(missed=PATIENCE))
        if state is not None:
            return Known(state)
        missed = old.missed + 1
        return Known(old.state if missed < PATIENCE else State(), missed)

    def _listening(self, port: int | None, uid: str) -> tuple[str, ...]:
        return tuple(a for a, one in self._known.items() if port is not None and one.state.listening.get(port) == uid)

    def _posts(self) -> dict[int, set[tuple[str, str]]]:
        found: dict[int, set[tuple[str, str]]] = {}
        for address, one in self._known.items():
            for port, uid in one.state.listening.items():
                found.setdefault(port, set()).add((address, uid))
        return found

    def _family(self) -> str:
        return next((home.family for here in self.homes.items.values() for home in here.values()), "IPv4")


def _may_sleep(target: ObjectView) -> bool:
    """As `LLMDeployment.may_sleep`, without reading the whole spec each time."""
    scaling = target.spec.get("scaling") or {}
    is_builtin = scaling.get("mode", ScalingMode.BUILTIN) == ScalingMode.BUILTIN
    return scaling.get("minReplicas") == 0 and is_builtin and not target.spec.get("suspend")


@dataclass
class Asking:
    """Asks all activators, again and again, while this process leads."""

    board: Activators
    listed: asyncio.Event
    """Set once it is known which there are."""
    is_leader: Callable[[], bool]

    async def run(self) -> None:
        """For ever."""
        await self.listed.wait()
        timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                if self.is_leader():
                    there = self.board.ready()
                    answers = await asyncio.gather(*(self._ask(session, *one) for one in there.items()))
                    self.board.take(dict(zip(there, answers, strict=True)))
                await asyncio.sleep(ASK_PERIOD)

    async def _ask(self, session: aiohttp.ClientSession, address: str, port: int) -> State | None:
        host = f"[{address}]" if ":" in address else address
        try:
            async with session.get(f"http://{host}:{port}{STATE_PATH}", allow_redirects=False) as answer:
                answer.raise_for_status()
                body = await read_up_to(answer.content, LARGEST_ANSWER)
            return State.model_validate_json(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            logger.debug("activator %s: %s", address, error)
            return None


async def read_up_to(stream: aiohttp.StreamReader, limit: int) -> bytes:
    """A whole body.

    Raises:
        ValueError: it is longer than the limit.
    """
    body = b""
    async for chunk in stream.iter_any():
        body += chunk
        if len(body) > limit:
            raise ValueError(f"the answer is longer than {limit} bytes")
    return body
