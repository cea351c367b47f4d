"""One H200 with vLLM 0.26, measured; the same requests to the simulated one, through its API server."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from statistics import fmean, median
from typing import Any

from llmfleet.sim.fleet import ApiServer
from llmfleet.sim.profiles import PROFILES
from llmfleet.sim.replica import Replica
from llmfleet.sim.sequence import Limits, Request, Sequence

DATA = Path(__file__).parent.parent / "data"
CLOSED: dict[str, Any] = json.loads((DATA / "h200-closed-loop.json").read_text())
STEP_TIME = PROFILES["h200-8b"].step_time(1)
OPEN_LOOP_LIMITS = Limits(919_824 // 16)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is compared; None: not measured there. Times in seconds but for ITL and step, in ms; rates a second."""

    rate: float
    """Output tokens (closed loop) or requests (open loop)."""
    kv: float | None = None
    """KV usage: peak (closed loop), mean (open loop)."""
    running: float | None = None
    ttft_p50: float
    ttft_p90: float | None = None
    ttft_p99: float
    itl_ms: float
    step_ms: float | None = None


OPEN: dict[str, tuple[float, Figures]] = {
    "coding": (140.0, Figures(rate=14.78, kv=0.032, running=12.3, ttft_p50=0.16, ttft_p90=0.43, ttft_p99=0.76,
                              itl_ms=21.1, step_ms=17.3)),
    "chat": (100.0, Figures(rate=20.08, kv=0.111, running=82, ttft_p50=0.11, ttft_p90=0.25, ttft_p99=0.38,
                            itl_ms=19.6, step_ms=19.2)),
}  # fmt: skip
"""End of the run and what was measured from WARM seconds on, at 15.0 and 20.6 requests a second."""
WARM = 40.0


def measured(case: dict[str, Any]) -> Figures:
    """Of a closed-loop case. The gauge was read once a second, which misses short peaks: those are left out."""
    return Figures(
        rate=case["outputTokensPerSecond"],
        kv=case["peakKvUsage"] if case["peakKvUsage"] > 0.02 else None,
        ttft_p50=case["ttftP50"],
        ttft_p99=case["ttftP99"],
        itl_ms=case["itlMsP50"],
    )


@dataclass
class Client:
    """Sends requests through an API server to a replica, and keeps what came of them."""

    replica: Replica
    server: ApiServer
    now: float = 0.0

    def __post_init__(self) -> None:
        self.sent: list[float] = []
        self.sequences: dict[int, Sequence] = {}
        self.steps: list[tuple[float, float, float, int, int]] = []
        """Start, duration, KV usage and running after it, tokens of those that ran before."""
        self._on_the_way: list[tuple[float, int, int, int]] = []
        self._door = 0.0

    def send(self, at: float, prompt: int, output: int) -> None:
        self._door = max(self._door, at) + self.server.serial_seconds
        heappush(self._on_the_way, (self._door, len(self.sent), prompt, output))
        self.sent.append(at)

    def steps_until(self, end: float) -> Iterator[list[Sequence]]:
        """The requests that ended, step by step."""
        while self.now < end and (self.replica.busy or self._on_the_way):
            while self._on_the_way and self._on_the_way[0][0] <= self.now:
                at, number, prompt, output = heappop(self._on_the_way)
                self.sequences[number] = self.replica.submit(Request(str(number), prompt, output), at)
            if not self.replica.busy:
                self.now = self._on_the_way[0][0]
                continue
            start, result = self.now, self.replica.step(self.now)
            self.now += result.duration
            seen = (self.replica.kv_usage, self.replica.running, result.decoded)
            self.steps.append((start, result.duration, *seen))
            yield result.finished

    def ttft(self, warm: float = 0.0) -> list[float]:
        return sorted(
            item.first_token - self.sent[number] + self.server.latency_seconds
            for number, item in self.sequences.items()
            if item.first_token is not None and self.sent[number] >= warm
        )


def quantile(values: list[float], share: float) -> float:
    return values[int(share * len(values))]


def closed_loop(case: dict[str, Any], server: ApiServer) -> Figures:
    """A fixed number of streams, each of which sends its next request when its last has ended."""
    client = Client(Replica(limits=Limits(CLOSED["kvCacheTokens"] // 16), step_time=STEP_TIME), server)
    lengths = case["in"], case["out"]
    for _ in range(case["streams"]):
        client.send(0.0, *lengths)
    for finished in client.steps_until(float("inf")):
        for _ in finished[: case["requests"] - len(client.sent)]:
            client.send(client.now, *lengths)
    ttft = client.ttft()
    gaps = sorted(duration for _, duration, _, _, decoded in client.steps for _ in range(decoded))
    return Figures(
        rate=case["requests"] * case["out"] / client.now,
        kv=max(kv for _, _, kv, _, _ in client.steps),
        ttft_p50=median(ttft),
        ttft_p99=quantile(ttft, 0.99),
        itl_ms=median(gaps) * 1000,
    )


def open_loop(name: str, server: ApiServer) -> Figures:
    """The very requests the GPU got, at the times it got them."""
    end, _ = OPEN[name]
    client = Client(Replica(limits=OPEN_LOOP_LIMITS, step_time=STEP_TIME), server)
    for arrival, prompt, output in requests(name):
        client.send(arrival, prompt, output)
    for _ in client.steps_until(end):
        pass
    steps = [step for step in client.steps if step[0] >= WARM]
    done = [
        (client.sent[number], item.first_token, item.finished, item.request.output_tokens)
        for number, item in client.sequences.items()
        if item.first_token is not None and item.finished is not None
    ]
    ttft = sorted(first - sent + server.latency_seconds for sent, first, _, _ in done if sent >= WARM)
    itl = [(last - first) / (tokens - 1) for sent, first, last, tokens in done if sent >= WARM and tokens > 1]
    return Figures(
        rate=sum(last >= WARM for _, _, last, _ in done) / (end - WARM),
        kv=sum(duration * kv for _, duration, kv, _, _ in steps) / (end - WARM),
        running=sum(duration * running for _, duration, _, running, _ in steps) / (end - WARM),
        ttft_p50=median(ttft),
        ttft_p90=quantile(ttft, 0.9),
        ttft_p99=quantile(ttft, 0.99),
        itl_ms=median(itl) * 1000,
        step_ms=fmean(duration for _, duration, _, _, _ in steps) * 1000,
    )


def requests(name: str) -> list[tuple[float, int, int]]:
    """Arrival, prompt and output tokens of an open-loop run."""
    lines = (DATA / f"h200-open-loop-{name}.csv").read_text().splitlines()
    return [(float(at), int(prompt), int(output)) for at, prompt, output in csv.reader(lines[3:])]


ALLOWED = {"rate": 0.05, "itl_ms": 0.05, "step_ms": 0.05, "running": 0.05}
"""Relative."""


def deviation(name: str, model: float, real: float) -> tuple[float, bool]:
    """How far the model is off, relatively (KV: absolutely), and whether that is allowed."""
    if name == "kv":
        return model - real, abs(model - real) <= 0.05
    off = model / real - 1
    if name.startswith("ttft"):
        return off, abs(model - real) <= 0.1 or abs(off) <= 0.2
    return off, abs(off) <= ALLOWED[name]
