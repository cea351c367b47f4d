"""One look at one engine: HTTP GET of /metrics (and once of /version), with a limit on everything.

First station of the autoscaler. The other side is a tenant's pod, so it may answer slowly, endlessly, with redirects,
cookies or compressed bombs: time, bytes and connections are bounded, nothing is followed, stored or unpacked. What
comes back is a Sample or a ScrapeError; no exception leaves here.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import aiohttp
from yarl import URL

from llmfleet.engine import version as versions
from llmfleet.engine.metrics import PageError, parse
from llmfleet.scaling.ports import PodRef
from llmfleet.scaling.track import Sample

MAX_BODY = 1 << 20
"""Bytes; a real page has 52 kB."""
CONCURRENCY = 64
"""Scrapes under way at once."""
SUSPECTS = 16
"""Of those, scrapes of pods that ran into the timeout the last time: they never hold up the others."""
KEEP_ALIVE = 15.0
"""Seconds for which a connection is kept for the next look."""
_CHUNK = 1 << 16
_OK = 200
_HEADERS = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity", "User-Agent": "llmfleet"}


class ErrorKind(StrEnum):
    """What went wrong; the `result` of llmfleet_scrapes_total."""

    TIMEOUT = "timeout"
    CONNECT = "connect"
    """No connection, or one that broke."""
    STATUS = "status"
    """Not 200; redirects too."""
    TOO_LARGE = "too_large"
    INVALID = "invalid"
    """Not HTTP, compressed although that was not asked for, or not an engine's page."""


@dataclass(frozen=True, slots=True)
class ScrapeError:
    """A look that gave nothing."""

    kind: ErrorKind
    detail: str = ""


class Scraper:
    """Looks at pods over kept connections. Use as an asynchronous context manager."""

    def __init__(self, *, timeout_seconds: float, monotonic: Callable[[], float]) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._monotonic = monotonic
        self._trusted = asyncio.Semaphore(CONCURRENCY - SUSPECTS)
        self._suspect = asyncio.Semaphore(SUSPECTS)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE, use_dns_cache=False),
            timeout=self._timeout,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def scrape(self, pod: PodRef, *, suspect: bool) -> Sample | ScrapeError:
        """Look at one pod; `suspect` where the last look at it timed out. Waiting for a turn is not timed."""
        body = await self._get(pod, "/metrics", suspect=suspect)
        if isinstance(body, ScrapeError):
            return body
        try:
            return Sample(self._monotonic(), parse(body.decode("utf-8", errors="replace")))
        except (PageError, ValueError) as error:
            return ScrapeError(ErrorKind.INVALID, type(error).__name__)

    async def version(self, pod: PodRef) -> str:
        """The vLLM version that an engine says it is; empty where it does not say, or not in a form that is known.

        `GET /version` needs no API key (vLLM `entrypoints/serve/instrumentator`).
        """
        body = await self._get(pod, "/version", suspect=False)
        try:
            told = {} if isinstance(body, ScrapeError) else json.loads(body)
        except ValueError:
            return ""
        text = told.get("version") if isinstance(told, dict) else None
        return text if isinstance(text, str) and versions.parse(text) else ""

    async def _get(self, pod: PodRef, path: str, *, suspect: bool) -> bytes | ScrapeError:
        if self._session is None:
            raise RuntimeError("the scraper is used outside its context")
        async with self._suspect if suspect else self._trusted:
            try:
                return await self._look(self._session, pod, path)
            except TimeoutError:
                return ScrapeError(ErrorKind.TIMEOUT)
            except (aiohttp.ClientConnectionError, OSError) as error:
                return ScrapeError(ErrorKind.CONNECT, type(error).__name__)
            except (aiohttp.ClientError, ValueError) as error:
                return ScrapeError(ErrorKind.INVALID, type(error).__name__)

    async def _look(self, session: aiohttp.ClientSession, pod: PodRef, path: str) -> bytes | ScrapeError:
        url = URL.build(scheme="http", host=pod.ip, port=pod.port, path=path)
        async with session.get(url, allow_redirects=False) as response:
            if response.status != _OK:
                return ScrapeError(ErrorKind.STATUS, str(response.status))
            if response.headers.get("Content-Encoding", "identity") != "identity":
                return ScrapeError(ErrorKind.INVALID, "compressed")
            body = await _bounded(response)
        return ScrapeError(ErrorKind.TOO_LARGE) if body is None else body


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None past MAX_BODY; the connection is then given up with the rest unread."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)
