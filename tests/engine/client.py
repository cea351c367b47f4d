"""Talks HTTP to an engine on loopback, the real one or the simulated one, as clients, probes and scrapers do."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.01


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(happened: Callable[[], bool], otherwise: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something has happened.

    Raises:
        AssertionError: it has not within that time; `otherwise` is the message.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, otherwise
        time.sleep(_POLL_SECONDS)


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None where there is none."""
        return json.loads(self.body) if self.body else None


class Client:
    """One engine's port."""

    def __init__(self, port: int, *, key: str = "") -> None:
        self.port = port
        self.streams: list[Stream] = []
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send a request, JSON unless the body is bytes, and read the whole answer."""
        connection = self.connect()
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            kind = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, path, data, self._headers | kind | (headers or {}))
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())
        finally:
            connection.close()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and raw body."""
        answer = self.ask(method, path, body, headers)
        return answer.status, answer.body

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON body."""
        answer = self.ask("GET", path)
        return answer.status, answer.json

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON body."""
        answer = self.ask("POST", path, body, headers)
        return answer.status, answer.json

    def page(self) -> str:
        """The metrics page."""
        status, raw = self.request("GET", "/metrics")
        assert status == 200
        return raw.decode()

    def value(self, series: str) -> float:
        """The value of the first series of the page that starts with this text."""
        return float(next(line for line in self.page().splitlines() if line.startswith(series)).rsplit(" ", 1)[1])

    def wait_value(self, series: str, value: float) -> None:
        """Wait until a series has a value."""
        wait_for(lambda: self.value(series) == value, f"{series} never became {value}")

    def stream(self, *, tokens: int, **more: Any) -> "Stream":
        """Begin a streaming completion; `close_streams` closes it."""
        self.streams.append(Stream(self.connect(), self._headers, tokens=tokens, **more))
        return self.streams[-1]

    def close_streams(self) -> None:
        """Hang up, whatever is still to come."""
        for stream in self.streams:
            stream.close()


class Stream:
    """A streaming completion that has been accepted, read event by event."""

    def __init__(
        self, connection: http.client.HTTPConnection, headers: dict[str, str], *, tokens: int, **more: Any
    ) -> None:
        self.tokens = 0
        self._connection = connection
        options = {"include_usage": True, "continuous_usage_stats": True}
        body = {"prompt": [1] * 32, "max_tokens": tokens, "ignore_eos": True, "stream": True, "stream_options": options}
        connection.request(
            "POST", "/v1/completions", json.dumps(body | more), headers | {"Content-Type": "application/json"}
        )
        self.response = connection.getresponse()

    def events(self) -> Iterator[str]:
        """The data of each event, as the format has it: one line and an empty one."""
        while line := self.response.readline():
            assert line.startswith(b"data: "), line
            assert self.response.readline() == b"\n"
            yield line[6:].decode().rstrip("\n")

    def first(self) -> None:
        """Wait for the first tokens."""
        self._count(next(self.events()))

    def rest(self) -> tuple[int, bool]:
        """Tokens of the whole answer, and whether the stream came to its orderly end."""
        try:
            for event in self.events():
                if event == "[DONE]":
                    return self.tokens, True
                self._count(event)
        except (http.client.HTTPException, ConnectionError, TimeoutError):
            pass
        return self.tokens, False

    def _count(self, event: str) -> None:
        self.tokens = (json.loads(event).get("usage") or {}).get("completion_tokens", self.tokens)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
        self.response.close()
