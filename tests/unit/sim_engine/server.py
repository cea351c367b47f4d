"""Runs the real `vllm` command of sim-engine as a process on loopback, and talks to it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PATH = os.pathsep.join(str(ROOT / folder) for folder in ("operator", "images/sim-engine"))
PATIENCE_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One process; `env` and flags as an operator would give them."""

    def __init__(self, *flags: str, env: dict[str, str] | None = None) -> None:
        self.port = free_port()
        argv = ["serve", "org/model", "--host=127.0.0.1", f"--port={self.port}", *flags]
        fast = {"SIM_STARTUP_SECONDS": "0", "SIM_CONTROL": "1", "PYTHONPATH": PATH, "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sim_engine", *argv],
            env=fast | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._output = ""
        self.streams: list[Stream] = []

    def stream(self, *, tokens: int, **more: Any) -> "Stream":
        """Begin a streaming completion; it is closed with the server."""
        self.streams.append(Stream(self, tokens=tokens, **more))
        return self.streams[-1]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def wait_ready(self) -> None:
        def listening() -> bool:
            assert self.process.poll() is None, self.output()
            return self.listening()

        self._wait(listening, "the server never listened")

    def listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = self.connect()
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            kind = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, path, data, kind | (headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        status, raw = self.request("GET", path)
        return status, json.loads(raw) if raw else None

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        status, raw = self.request("POST", path, body, headers)
        return status, json.loads(raw)

    def page(self) -> str:
        status, raw = self.request("GET", "/metrics")
        assert status == 200
        return raw.decode()

    def value(self, series: str) -> float:
        """The value of the first series of the page that starts with this text."""
        return float(next(line for line in self.page().splitlines() if line.startswith(series)).rsplit(" ", 1)[1])

    def fault(self, text: str) -> None:
        assert self.post("/sim/fault", {"fault": text})[0] == 200

    def wait_state(self, name: str, value: object) -> None:
        self._wait(lambda: self.get("/sim/state")[1][name] == value, f"{name} never became {value}")

    def wait_value(self, series: str, value: float) -> None:
        self._wait(lambda: self.value(series) == value, f"{series} never became {value}")

    def _wait(self, happened: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.01)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """The exit code."""
        self._output = self.process.communicate(timeout=PATIENCE_SECONDS)[0]
        return self.process.returncode

    def output(self) -> str:
        return self._output or self.process.communicate(timeout=PATIENCE_SECONDS)[0]


@contextmanager
def running(*flags: str, env: dict[str, str] | None = None, ready: bool = True) -> Iterator[Server]:
    """A server that is gone afterwards, whatever happens."""
    server = Server(*flags, env=env)
    try:
        if ready:
            server.wait_ready()
        yield server
    finally:
        for stream in server.streams:
            stream.close()
        server.process.kill()
        server.process.communicate()


class Stream:
    """A streaming completion, read event by event."""

    def __init__(self, server: Server, *, tokens: int, **more: Any) -> None:
        self.words = 0
        self._connection = server.connect()
        body = {"prompt": [1] * 32, "max_tokens": tokens, "ignore_eos": True, "stream": True} | more
        data = json.dumps(body)
        self._connection.request("POST", "/v1/completions", data, {"Content-Type": "application/json"})
        self.response = self._connection.getresponse()

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
        """Words of the whole answer, and whether the stream came to its orderly end."""
        try:
            for event in self.events():
                if event == "[DONE]":
                    return self.words, True
                self._count(event)
        except (http.client.IncompleteRead, ConnectionError):
            pass
        return self.words, False

    def _count(self, event: str) -> None:
        self.words += sum(len(choice["text"].split()) for choice in json.loads(event).get("choices", ()))

    def close(self) -> None:
        self._connection.close()
        self.response.close()
