"""One request to one replica: sent as it came, and the answer streamed back as it comes.

Only headers that speak of the connection itself are taken out. A request is sent a second time only if nothing of it
can have reached a replica: the connection was not made.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from llmfleet.api.v1alpha1 import PORT

CONNECT_SECONDS = 3.0
"""For a connection to a replica: it is in the same cluster."""
HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110, section 7.6.1."""


class NotReachedError(Exception):
    """No connection to the replica was made."""


class BrokenError(Exception):
    """The replica ended before it answered."""


@dataclass
class Sending:
    """A request on its way; `sent` is set when all of it is out, or it has failed."""

    size: int
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    written: int = 0

    def wrote(self, count: int) -> None:
        """So many bytes of the body are out; the headers are before them."""
        self.written += count
        if self.written >= self.size:
            self.sent.set()


def end_to_end(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    """The headers without those of the connection, also those that it names itself."""
    found: CIMultiDict[str] = CIMultiDict(headers)
    named = {name.strip().lower() for value in found.getall("Connection", ()) for name in value.split(",")}
    for name in (HOP_BY_HOP | named) & {name.lower() for name in found}:
        found.popall(name, None)
    return found


def session() -> aiohttp.ClientSession:
    """The client for replicas: no cookies, no proxy, no header of its own, bodies as they are."""
    trace: aiohttp.TraceConfig = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_headers_sent)
    trace.on_request_chunk_sent.append(_chunk_sent)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        trace_configs=[trace],
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


async def send(
    client: aiohttp.ClientSession, request: web.BaseRequest, body: bytes, *, address: str, sending: Sending
) -> aiohttp.ClientResponse:
    """Send a request to a replica, and wait for the head of its answer.

    Raises:
        NotReachedError: nothing was sent.
        BrokenError: the connection broke before an answer.
    """
    path = request.rel_url
    url = URL.build(
        scheme="http", host=address, port=PORT, path=path.raw_path, query_string=path.raw_query_string, encoded=True
    )
    headers = end_to_end(request.headers)
    headers.popall("Content-Length", None)
    try:
        return await client.request(
            request.method,
            url,
            headers=headers,
            data=body or None,
            allow_redirects=False,
            trace_request_ctx=sending,
        )
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NotReachedError(str(error)) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise BrokenError(str(error) or type(error).__name__) from error


async def streamed(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Pass the answer on, chunk by chunk. One that breaks off breaks off at the client too."""
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=end_to_end(answer.headers))
    response.force_close()  # the next request of this client goes to a replica
    if "Content-Length" not in response.headers and request.method != "HEAD":
        response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    except (aiohttp.ClientError, OSError):
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


async def _headers_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    context.trace_request_ctx.wrote(0)


async def _chunk_sent(
    _: aiohttp.ClientSession, context: SimpleNamespace, chunk: aiohttp.TraceRequestChunkSentParams
) -> None:
    context.trace_request_ctx.wrote(len(chunk.chunk))
