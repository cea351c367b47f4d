"""The way of a request through an activator.

port -> object -> judged without a replica -> a place among those held -> body, judged -> the object's line, in the
order of arrival -> a replica is ready -> sent -> the next in line -> the answer is streamed back.

The line is a lock, which asyncio gives away in the order of asking: its holder is the oldest request, waits for a
replica, and keeps the lock until its request is out. So no request overtakes an earlier one.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from llmfleet.activator import answers, rules
from llmfleet.activator.answers import Answer, Refusal, Refused
from llmfleet.activator.bounds import Bounds, Room
from llmfleet.activator.demand import Demand
from llmfleet.activator.directory import Directory
from llmfleet.activator.forward import BrokenError, NotReachedError, Sending, send, streamed
from llmfleet.activator.metrics import ActivatorMetrics
from llmfleet.activator.rules import Head
from llmfleet.activator.targets import Target

logger = logging.getLogger(__name__)

BODY_SECONDS = 30.0
"""For the whole body of a request."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
AGAIN_SECONDS = 0.2
"""Between tries to reach a replica that is Ready."""


@dataclass
class Proxy:
    """Handles each request of each port."""

    directory: Directory
    bounds: Bounds
    metrics: ActivatorMetrics
    client: aiohttp.ClientSession
    demand: Demand = field(default_factory=Demand)
    now: Callable[[], float] = time.monotonic
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing may be held any longer."""
    active: int = 0
    """Requests that are being handled."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while there are none."""
    _lines: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """By uid."""
    _turn: int = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        self.active += 1
        self.idle.clear()
        port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
        target = self.directory.target(port)
        labels = (target.namespace, target.name) if target else ("", "")
        try:
            return await self._handle(request, target)
        except Refused as error:
            self.metrics.refused.labels(*labels, error.refusal.value).inc()
            return _response(answers.refusal(error))
        finally:
            self.active -= 1
            if not self.active:
                self.idle.set()

    async def _handle(self, request: web.BaseRequest, target: Target | None) -> web.StreamResponse:
        if target is None:
            raise Refused(Refusal.UNKNOWN, "This address is not known here (yet).")
        if target.is_suspended:
            raise Refused(Refusal.SUSPENDED, f"{target.name} is suspended: nothing wakes it.", retry_after=60)
        head = Head(request.method, request.path, request.headers)
        if self._judges(target) and (answer := rules.at_once(head, target)) is not None:
            self.metrics.answered.labels(target.namespace, target.name).inc()
            return _response(answer)
        with contextlib.ExitStack() as held:
            self._take_place(held, target)
            body = await self._body(held, request, target)
            if self._judges(target):
                rules.check_body(head, body, target)
            if target.is_closed:
                self.demand.refused(target.uid, self.now())
                words = (
                    f"{target.name} is woken. Its access.networkPolicy says who may connect, so nothing is passed on"
                )
                raise Refused(Refusal.CLOSED, f"{words}: come again.", retry_after=self._retry(target))
            answered = await self._exchange(held, request, target, body=body)
        try:
            return await streamed(request, answered)
        finally:
            answered.close()

    def _judges(self, target: Target) -> bool:
        """Whether there is no replica that could."""
        return target.is_closed or not self.directory.addresses(target)

    def _take_place(self, held: contextlib.ExitStack, target: Target) -> None:
        try:
            self.bounds.enter(target, retry_after=self._retry(target))
        except Refused:
            self.demand.refused(target.uid, self.now())
            raise
        held.callback(self.bounds.leave, target)
        gauge = self.metrics.held.labels(target.namespace, target.name)
        gauge.inc()
        held.callback(gauge.dec)

    async def _body(self, held: contextlib.ExitStack, request: web.BaseRequest, target: Target) -> bytes:
        """The whole body, as far as there is room for it."""
        room = Room(self.bounds, self._retry(target))
        held.callback(room.clear)
        room.expect(request.content_length or 0)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(CONTINUE)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.content.iter_any():
                    room.take(chunk)
        except TimeoutError as error:
            words = f"The body did not come within {BODY_SECONDS:.0f} s."
            raise Refused(Refusal.TOO_SLOW, words) from error
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise Refused(Refusal.BODY, f"The body cannot be read: {type(error).__name__}.") from error
        return b"".join(room.chunks)

    async def _exchange(
        self, held: contextlib.ExitStack, request: web.BaseRequest, target: Target, *, body: bytes
    ) -> aiohttp.ClientResponse:
        """Send when it is this request's turn and a replica is ready; the head of the answer comes when it comes."""
        began, sending = self.now(), Sending(len(body))
        if self.demand.came(target.uid, began) and not self.directory.addresses(target):
            self.metrics.wakes.labels(target.namespace, target.name).inc()
            logger.info("%s/%s: a request waits for a replica", target.namespace, target.name)
        held.callback(self.demand.went, target.uid)
        try:
            async with asyncio.timeout(target.hold_seconds(self.bounds.limits.hold_seconds)):
                answering = await self._sent(request, target, body=body, sending=sending)
        except TimeoutError as error:
            self.demand.refused(target.uid, self.now())
            words = f"No replica of {target.name} was ready in {self.now() - began:.0f} s."
            raise Refused(Refusal.TIMED_OUT, words, retry_after=self._retry(target)) from error
        except asyncio.CancelledError:
            self.metrics.left.labels(target.namespace, target.name).inc()
            raise
        held.close()
        try:
            answered = await answering
        except BrokenError as error:
            words = f"The replica of {target.name} ended before it answered: {error}."
            raise Refused(Refusal.REPLICA, words) from error
        self.demand.served(target.uid)
        self.metrics.wait.observe(self.now() - began)
        self.metrics.forwarded.labels(target.namespace, target.name).inc()
        return answered

    async def _sent(
        self, request: web.BaseRequest, target: Target, *, body: bytes, sending: Sending
    ) -> "asyncio.Task[aiohttp.ClientResponse]":
        """Wait in line until the request is out, or has failed; the answer is still to come."""
        line = self._lines.setdefault(target.uid, asyncio.Lock())
        async with line:
            exchange = asyncio.create_task(self._reached(request, target, body=body, sending=sending))
            exchange.add_done_callback(lambda _: sending.sent.set())
            try:
                await sending.sent.wait()
            except asyncio.CancelledError:
                exchange.cancel()
                raise
        return exchange

    async def _reached(
        self, request: web.BaseRequest, target: Target, *, body: bytes, sending: Sending
    ) -> aiohttp.ClientResponse:
        """Send to a replica, as soon as one can be reached."""
        while True:
            await self._ready(target)
            addresses = self.directory.addresses(target)
            for _ in addresses:
                self._turn += 1
                with contextlib.suppress(NotReachedError):
                    address = addresses[self._turn % len(addresses)]
                    return await send(self.client, request, body, address=address, sending=sending)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ready(self, target: Target) -> None:
        """Wait for a replica."""
        ready = asyncio.create_task(self.directory.ready(target).wait())
        ending = asyncio.create_task(self.ending.wait())
        try:
            await asyncio.wait({ready, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            ending.cancel()
        if self.ending.is_set():
            raise Refused(Refusal.ENDING, "This activator ends; another one takes requests.")

    def _retry(self, target: Target) -> int:
        return target.retry_seconds(self.demand.asked_for(target.uid, self.now()))


def _response(answer: Answer) -> web.Response:
    """An answer after which the connection ends: the next request of the client goes to a replica if there is one."""
    response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
    response.force_close()
    return response
