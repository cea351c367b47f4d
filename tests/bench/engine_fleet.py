"""Pages of very many engines from one process: `python -m tests.bench.engine_fleet PORT`, with addresses of its own.

Every address of the network that leads here is another engine: a real vLLM's page of 52 kB whose gauges and counters
are those of the address and of the moment, so that nothing that reads it can take one page for another. `GET /looks`
tells when each engine was asked for its page: what the operator did, seen from outside.
"""

import asyncio
import json
import re
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Callable
from math import cos, pi, sin
from pathlib import Path
from typing import cast

from llmfleet.engine import metrics

PAGE = (Path(__file__).parents[1] / "unit" / "data" / "vllm-0.32.0-metrics-idle.txt").read_text()
VERSION = "0.32.0"
CPU_SHARE = 0.3
"""Cores that an API server uses."""


class Load:
    """A steady load with a slow swing of a minute, another phase at each engine, so that numbers move all the time."""

    STEPS, PROMPT, OUTPUT, FINISHED = 40.0, 2200.0, 900.0, 3.2
    """Per second: engine steps, tokens of prompts and answers, requests."""
    SECONDS = 60.0

    def __init__(self, phase: float, at: float) -> None:
        """The load of an engine with that phase (0 to 1), `at` seconds since all began."""
        angle = 2 * pi * (at / self.SECONDS + phase)
        self._swing = sin(angle)
        self._integral = at + 0.2 * self.SECONDS / (2 * pi) * (cos(2 * pi * phase) - cos(angle))
        self._at = at

    def numbers(self) -> dict[str, float]:
        """Metric -> value. Counters are integrals of 1 + 0.2 sin, so they never fall."""
        done = self._integral
        return {
            metrics.KV_USAGE[0]: 0.38 + 0.05 * self._swing,
            metrics.RUNNING[0]: round(24 + 5 * self._swing),
            metrics.WAITING[0]: round(max(0.0, self._swing)),
            metrics.PROMPT_TOKENS[0]: round(self.PROMPT * done),
            metrics.GENERATION_TOKENS[0]: round(self.OUTPUT * done),
            metrics.STEPS[0]: round(self.STEPS * done),
            metrics.STEP_TOKENS[0]: round((self.PROMPT + self.OUTPUT) * done),
            metrics.FINISHED[0]: round(self.FINISHED * done),
            metrics.PROCESS_CPU[0]: CPU_SHARE * self._at,
        }


class Template:
    """A page cut at the values that move; the first line of each name carries its value."""

    def __init__(self, page: str) -> None:
        moving = Load(0.0, 0.0).numbers()
        self._parts: list[bytes] = []
        self._names: list[str] = []
        rest = 0
        for line in re.finditer(r"^([a-zA-Z_:]+)(?:\{.*\})? ([^ \n]+)$", page, re.MULTILINE):
            if line[1] in moving and line[1] not in self._names:
                self._parts.append(page[rest : line.start(2)].encode())
                self._names.append(line[1])
                rest = line.end(2)
        self._parts.append(page[rest:].encode())

    def fill(self, numbers: dict[str, float]) -> bytes:
        """The page with these values."""
        cut = zip(self._parts, self._names, strict=False)
        return b"".join(part + f"{numbers[name]:.12g}".encode() for part, name in cut) + self._parts[-1]


class Fleet:
    """All engines, and when each was looked at (monotonic seconds, the same clock in every process)."""

    def __init__(self) -> None:
        self._template = Template(PAGE)
        self._began = time.monotonic()
        self._looks: defaultdict[str, list[float]] = defaultdict(list)

    def answer(self, address: str, path: str) -> bytes:
        """What the engine at an address says."""
        if path == "/looks":
            return json.dumps(self._looks).encode()
        if path == "/version":
            return json.dumps({"version": VERSION}).encode()
        now = time.monotonic()
        self._looks[address].append(now)
        return self._template.fill(Load(zlib.crc32(address.encode()) / 2**32, now - self._began).numbers())


class Connection(asyncio.Protocol):
    """One kept connection: each request is a head without a body."""

    def __init__(self, answer: Callable[[str, str], bytes]) -> None:
        self._answer = answer
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember which engine is meant: that whose address was called."""
        self._transport = cast("asyncio.Transport", transport)
        self._address: str = transport.get_extra_info("sockname")[0]

    def data_received(self, data: bytes) -> None:
        """Answer each whole head."""
        *heads, self._heard = (self._heard + data).split(b"\r\n\r\n")
        for head in heads:
            body = self._answer(self._address, head.split(b" ", 2)[1].decode())
            start = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(start.encode() + body)


async def serve(port: int) -> None:
    """Answer on every address of this network, for ever."""
    fleet = Fleet()
    everywhere, loop = "0.0.0.0", asyncio.get_running_loop()  # noqa: S104 (a network of its own)
    server = await loop.create_server(lambda: Connection(fleet.answer), everywhere, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
