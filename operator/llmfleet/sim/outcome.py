"""What a simulated run was like: each request, each change of the fleet, what it cost, and what to say of it.

Last station of the simulator: trace -> fleet -> outcome.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite, isnan
from typing import Any

REVERSAL_SECONDS = 600.0
"""A change of direction counts as one when it comes within this time after the last change."""


@dataclass(frozen=True, slots=True)
class Slo:
    """What a request must keep to count as served: seconds."""

    ttft: float
    itl: float
    """Mean of the request's own inter-token latencies."""


@dataclass(frozen=True, slots=True)
class Change:
    """The fleet after something changed."""

    at: float
    replicas: int
    """spec.replicas."""
    ready: int
    pods: int
    """All that are paid for: those that start and drain too."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The fleet at one moment: what a dashboard would show."""

    at: float
    kv_mean: float
    """Mean KV-cache usage of the ready pods, 0..1."""
    kv_max: float
    running: int
    waiting: int
    """Requests in the engines' queues and at the gateway."""


@dataclass(slots=True, eq=False)
class Outcome:
    """One run. The four columns have a value for each request of the trace, in its order."""

    seconds: float = 0.0
    """From the first second of the trace to the end of the last request."""
    span: float = 0.0
    """Seconds of the trace."""
    arrived: "array[float]" = field(default_factory=lambda: array("d"))
    ttft: "array[float]" = field(default_factory=lambda: array("f"))
    """Seconds; NaN where no token came."""
    itl: "array[float]" = field(default_factory=lambda: array("f"))
    """Mean seconds between tokens; 0 where the answer is a single token, NaN where it did not end."""
    finished: "array[int]" = field(default_factory=lambda: array("b"))
    """1 where the whole answer came."""
    changes: list[Change] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    gpu_seconds: float = 0.0
    """Paid within the trace's span: each pod from its creation until it is gone, times its GPUs."""
    preemptions: int = 0
    underprovisioned_seconds: float = 0.0
    """Sum of those minutes in which the work that came was more than the ready replicas could do."""
    prompt_tokens: int = 0
    generation_tokens: int = 0
    notes: tuple[str, ...] = ()

    @property
    def gpu_hours(self) -> float:
        """GPU-hours paid."""
        return self.gpu_seconds / 3600

    @property
    def failed(self) -> int:
        """Requests without a whole answer."""
        return len(self.finished) - sum(self.finished)

    @property
    def actions(self) -> int:
        """Changes of spec.replicas."""
        return len(self._steps())

    @property
    def reversals(self) -> int:
        """Changes of spec.replicas that turn round within ten minutes after the one before."""
        return sum(
            earlier * later < 0 and at - before <= REVERSAL_SECONDS
            for (before, earlier), (at, later) in pairwise(self._steps())
        )

    def attainment(self, slo: Slo, *, start: float = 0.0, end: float = float("inf")) -> float:
        """Share of the requests that came in that time and were served in time; errors are misses. 1 of none."""
        total = good = 0
        for at, ttft, itl, finished in zip(self.arrived, self.ttft, self.itl, self.finished, strict=True):
            if start <= at < end:
                total += 1
                good += bool(finished) and ttft <= slo.ttft and itl <= slo.itl
        return good / total if total else 1.0

    def ttft_quantile(self, share: float) -> float:
        """Seconds; a request without a token counts as one that waited for ever."""
        values = sorted(float("inf") if isnan(value) else value for value in self.ttft)
        return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0

    def itl_quantile(self, share: float) -> float:
        """Seconds, of the requests that ended."""
        values = sorted(value for value in self.itl if not isnan(value))
        return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0

    def worst_ttft_p99(self, *, window: float = 600.0) -> float:
        """The largest p99 of TTFT of any window of that many seconds, in seconds."""
        return max((self._p99(values) for values in self._windows(window)), default=0.0)

    def _windows(self, window: float) -> Iterator[list[float]]:
        values: list[float] = []
        number = 0
        for at, ttft in zip(self.arrived, self.ttft, strict=True):
            if int(at / window) != number and values:
                yield values
                values = []
            number = int(at / window)
            values.append(float("inf") if isnan(ttft) else ttft)
        if values:
            yield values

    @staticmethod
    def _p99(values: list[float]) -> float:
        values.sort()
        return values[int(0.99 * len(values))]

    def _steps(self) -> list[tuple[float, int]]:
        """When spec.replicas changed, and by how much."""
        return [
            (after.at, after.replicas - before.replicas)
            for before, after in pairwise(self.changes)
            if after.replicas != before.replicas
        ]

    def to_json(self, slo: Slo, *, series: bool = True) -> dict[str, Any]:
        """The run in camelCase; without the requests themselves, and without its series if they are not wanted.

        A time is null where it is for ever.
        """
        document: dict[str, Any] = {
            "requests": len(self.arrived),
            "failed": self.failed,
            "sloAttainment": round(self.attainment(slo), 6),
            "ttftSeconds": {name: _finite(self.ttft_quantile(share)) for name, share in QUANTILES.items()},
            "itlSeconds": {name: _finite(self.itl_quantile(share)) for name, share in QUANTILES.items()},
            "worstTtftP99Seconds": _finite(self.worst_ttft_p99()),
            "gpuHours": round(self.gpu_hours, 3),
            "scalingActions": self.actions,
            "reversals": self.reversals,
            "preemptions": self.preemptions,
            "underprovisionedSeconds": self.underprovisioned_seconds,
            "promptTokens": self.prompt_tokens,
            "generationTokens": self.generation_tokens,
            "notes": list(self.notes),
        }
        if series:
            document["replicas"] = [[c.at, c.replicas, c.ready, c.pods] for c in self.changes]
            document["samples"] = [[s.at, s.kv_mean, s.kv_max, s.running, s.waiting] for s in self.samples]
        return document

    def replicas_over_time(self) -> list[tuple[float, int]]:
        """How many seconds of the trace which spec.replicas stood, by number."""
        held: defaultdict[int, float] = defaultdict(float)
        ends = [*(change.at for change in self.changes[1:]), self.span]
        for change, end in zip(self.changes, ends, strict=True):
            held[change.replicas] += max(0.0, min(end, self.span) - change.at)
        return [(seconds, replicas) for replicas, seconds in sorted(held.items())]

    def replicas_quantile(self, share: float) -> int:
        """The replicas that were enough for that share of the time."""
        left = share * self.span
        over_time = self.replicas_over_time()
        for seconds, replicas in over_time:
            left -= seconds
            if left <= 1e-9 * self.span:
                return replicas
        return over_time[-1][1]

    @property
    def replicas_mean(self) -> float:
        """Mean of spec.replicas over the trace."""
        return sum(seconds * replicas for seconds, replicas in self.replicas_over_time()) / self.span


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
