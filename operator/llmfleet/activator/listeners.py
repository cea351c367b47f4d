"""The ports: one for each object that may go to zero, opened and closed as the book says.

HTTP has no time limit for the head of a request, and a connection without one costs memory all the same: it is broken
off. There is one request a connection, so that the client's next one goes to a replica.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from aiohttp import web

from llmfleet.activator.directory import Directory
from llmfleet.activator.metrics import ActivatorMetrics
from llmfleet.activator.proxy import Proxy
from llmfleet.process.http_logs import is_worth_telling

logger = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""From the connection to the end of the head of its request."""
MORE_CONNECTIONS = 500
"""Beside those of requests that are held: requests that are judged, and answers that are streamed."""
HEADERS, HEADER_BYTES = 64, 8190
"""Most headers, and bytes of one of them."""
BUFFER = 16384
"""Bytes of a body that are read before anybody wants them."""
BACKLOG = 512


@dataclass
class Listeners:
    """All of them."""

    directory: Directory
    proxy: Proxy
    metrics: ActivatorMetrics
    host: str | None = None
    """Address; None: all."""
    _open: dict[int, asyncio.Server] = field(default_factory=dict)
    _heads: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = field(default_factory=dict)
    """Connections whose head has not come yet, and when they are broken off."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        log = logging.getLogger("llmfleet.activator.server")
        log.addFilter(is_worth_telling)
        self._server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            logger=log,
            keepalive_timeout=HEAD_SECONDS,
            max_headers=HEADERS,
            max_field_size=HEADER_BYTES,
            read_bufsize=BUFFER,
            auto_decompress=False,
            lingering_time=1.0,
        )
        limits = self.proxy.bounds.limits
        self._most = limits.requests + MORE_CONNECTIONS

    @property
    def listening(self) -> dict[int, str]:
        """Port -> uid of the object for which it listens."""
        return {port: entry.uid for port, entry in self.directory.ports.items() if port in self._open}

    def changed(self) -> None:
        """The book has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Follow the book, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.follow()

    async def follow(self) -> None:
        """Open and close what the book asks for."""
        wanted = self.directory.ports
        for port in self._open.keys() - wanted.keys():
            self._open.pop(port).close()
        for port in wanted.keys() - self._open.keys():
            try:
                self._open[port] = await asyncio.get_running_loop().create_server(
                    self._protocol, self.host, port, backlog=BACKLOG
                )
            except OSError as error:
                logger.warning("port %d cannot be opened: %s", port, error)
        self.metrics.listening.set(len(self._open))
        self.metrics.keep({entry[:2] for entry in wanted.values()})
        self.directory.tidy()

    async def close(self) -> None:
        """Take no connections any more; those that are there go on."""
        for server in self._open.values():
            server.close()

    async def end(self) -> None:
        """End all connections."""
        await self._server.shutdown(1.0)

    def _protocol(self) -> asyncio.BaseProtocol:
        """For one connection."""
        if len(self._server.connections) >= self._most:
            return _Full()
        protocol = self._server()
        timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._break_off, protocol)
        self._heads[protocol] = timer
        return protocol

    def _break_off(self, protocol: web.RequestHandler) -> None:
        del self._heads[protocol]
        if protocol.transport is not None:
            protocol.transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if timer := self._heads.pop(request.protocol, None):
            timer.cancel()
        self.metrics.connections.set(len(self._server.connections))
        return await self.proxy.handle(request)


class _Full(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say so and hang up."""
        if isinstance(transport, asyncio.Transport):
            head = (
                "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            transport.write(head.encode())
            transport.close()
