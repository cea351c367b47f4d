"""Whether the watches are alive: an ear on the HTTP session with which kopf lists and watches.

kopf has no word on the health of its watches. But a watch is one long answer: bytes that arrive in it (events, and
bookmarks about once a minute) are signs of life, and so is each new request, since kopf opens a silent watch anew.
"""

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import aiohttp

from llmfleet.controller import metrics

Source = tuple[str, str]
"""Plural of the resource and namespace; an empty namespace for all."""


@dataclass
class Watch:
    """What is known of one watch."""

    heard_at: float
    """Monotonic seconds."""
    is_open: bool = False
    """It was opened at least once, so what was there at the start has been listed."""
    lists: int = 0
    """How often everything was listed: more than once means that the watch had to start over."""
    answer: aiohttp.ClientResponse | None = None
    received: int = 0
    """Bytes of the answer at the last look."""


@dataclass
class Watches:
    """All watches of this process."""

    expected: tuple[Source, ...]
    known: dict[Source, Watch] = field(default_factory=dict)

    def trace(self) -> aiohttp.TraceConfig:
        """What the HTTP session has to call."""
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._started)
        config.on_request_end.append(self._answered)
        return config

    @property
    def are_open(self) -> bool:
        """Whether everything that is expected has been listed and is watched."""
        return all(source in self.known and self.known[source].is_open for source in self.expected)

    def look(self) -> None:
        """Note which answers have grown; to be called every few seconds."""
        now = time.monotonic()
        oldest: dict[str, float] = {}
        for (plural, _), watch in self.known.items():
            received = watch.answer.content.total_bytes if watch.answer is not None else 0
            if received != watch.received:
                watch.received, watch.heard_at = received, now
            oldest[plural] = max(oldest.get(plural, 0.0), now - watch.heard_at)
        for plural, age in oldest.items():
            metrics.WATCH_AGE.labels(plural).set(age)

    def oldest(self) -> float:
        """Seconds for which the quietest watch has not been heard of; 0 before the first one is there."""
        now = time.monotonic()
        return max((now - watch.heard_at for watch in self.known.values()), default=0.0)

    def relisted(self, plural: str) -> int:
        """How often this resource was listed after the first time."""
        return sum(max(0, watch.lists - 1) for (name, _), watch in self.known.items() if name == plural)

    async def _started(self, _: aiohttp.ClientSession, __: SimpleNamespace, request: object) -> None:
        assert isinstance(request, aiohttp.TraceRequestStartParams)  # noqa: S101 - narrows aiohttp's type
        source, _is_watch = _source(str(request.url))
        if source in self.expected:
            self._watch(source).heard_at = time.monotonic()

    async def _answered(self, _: aiohttp.ClientSession, __: SimpleNamespace, request: object) -> None:
        assert isinstance(request, aiohttp.TraceRequestEndParams)  # noqa: S101 - narrows aiohttp's type
        source, is_watch = _source(str(request.url))
        if source not in self.expected or not request.response.ok:
            return
        watch = self._watch(source)
        watch.heard_at = time.monotonic()
        if is_watch:
            watch.is_open, watch.answer, watch.received = True, request.response, 0
        else:
            watch.lists += 1

    def _watch(self, source: Source) -> Watch:
        return self.known.setdefault(source, Watch(heard_at=time.monotonic()))


def _source(url: str) -> tuple[Source, bool]:
    """What a request is about, and whether it is a watch."""
    parts = urlsplit(url)
    path = parts.path.strip("/").split("/")
    namespace = path[path.index("namespaces") + 1] if "namespaces" in path[:-1] else ""
    return (path[-1], namespace), "watch" in parse_qs(parts.query)
