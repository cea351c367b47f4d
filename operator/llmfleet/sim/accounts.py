"""The books of one run: what each request got, what the fleet cost, where it was too small.

Kept by `fleet.py`, closed into an `Outcome`.
"""

from array import array
from collections.abc import Iterable
from itertools import pairwise
from math import nan

from llmfleet.sim.outcome import Change, Outcome, Sample
from llmfleet.sim.sequence import Sequence
from llmfleet.sim.spec import FleetSpec
from llmfleet.sim.steptime import StepTime
from llmfleet.sim.trace import Trace

MINUTE = 60.0


class Accounts:
    """What is written down while a run goes on."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.changes: list[Change] = []
        self.samples: list[Sample] = []
        self._ttft = array("f", [nan]) * len(trace)
        self._itl = array("f", [nan]) * len(trace)
        self._finished = array("b", [0]) * len(trace)
        self._preemptions = self._prompt_tokens = self._generation_tokens = 0

    def finished(self, sequences: Iterable[Sequence], latency: float) -> None:
        """Write down requests that ended; `latency` is added to what the engine needed for the first token."""
        at, ttft, itl, finished = self.trace.at, self._ttft, self._itl, self._finished
        for sequence in sequences:
            request, first, last = sequence.request, sequence.first_token, sequence.finished
            number, tokens = int(request.id), request.output_tokens
            if first is not None and last is not None:
                ttft[number] = first - at[number] + latency
                itl[number] = (last - first) / (tokens - 1) if tokens > 1 else 0.0
            finished[number] = 1
            self._prompt_tokens += request.prompt_tokens
            self._generation_tokens += tokens
            self._preemptions += sequence.preemptions

    def lost(self, sequences: Iterable[Sequence], latency: float) -> None:
        """Write down requests that were cut: those with a first token had that."""
        for sequence in sequences:
            self._preemptions += sequence.preemptions
            if sequence.first_token is not None:
                number = int(sequence.request.id)
                self._ttft[number] = sequence.first_token - self.trace.at[number] + latency

    def close(self, spec: FleetSpec, now: float) -> Outcome:
        """The outcome of a run that ended at `now`."""
        return Outcome(
            seconds=now,
            span=self.trace.span,
            arrived=self.trace.at,
            ttft=self._ttft,
            itl=self._itl,
            finished=self._finished,
            changes=self.changes,
            samples=self.samples,
            gpu_seconds=paid(self.changes, self.trace.span) * spec.gpus_per_replica,
            preemptions=self._preemptions,
            underprovisioned_seconds=underprovisioned(self.trace, self.changes, spec.step_time),
            prompt_tokens=self._prompt_tokens,
            generation_tokens=self._generation_tokens,
            notes=self.trace.notes,
        )


def paid(changes: Iterable[Change], span: float) -> float:
    """Pod-seconds up to `span`."""
    ends = [*changes, Change(span, 0, 0, 0)]
    return sum(before.pods * max(0.0, min(after.at, span) - before.at) for before, after in pairwise(ends))


def work(step_time: StepTime, prompt_tokens: int, output_tokens: int) -> float:
    """Seconds of a busy engine that a request takes: each token computed once, its context read with each token.

    beta (i + o) + gamma (o + 1) (i + o / 2), the floor of a step left out: what is left when batches are large.
    """
    reads = (output_tokens + 1) * (prompt_tokens + output_tokens / 2)
    return (step_time.beta_ms * (prompt_tokens + output_tokens) + step_time.gamma_ms * reads) / 1000


def underprovisioned(trace: Trace, changes: Iterable[Change], step_time: StepTime) -> float:
    """Seconds of those whole minutes whose arriving work was more than the ready replicas had time for."""
    minutes = int(trace.span / MINUTE)
    asked, had = [0.0] * (minutes + 1), [0.0] * (minutes + 1)
    beta, gamma = step_time.beta_ms / 1000, step_time.gamma_ms / 1000
    for at, prompt, output in trace:
        asked[int(at / MINUTE)] += beta * (prompt + output) + gamma * (output + 1) * (prompt + output / 2)
    for before, after in pairwise([*changes, Change(minutes * MINUTE, 0, 0, 0)]):
        start, end = before.at, min(after.at, minutes * MINUTE)
        while start < end:
            minute = int(start / MINUTE)
            until = min(end, (minute + 1) * MINUTE)
            had[minute] += before.ready * (until - start)
            start = until
    return sum(MINUTE for minute in range(minutes) if asked[minute] > had[minute])
