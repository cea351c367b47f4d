"""The engine's numbers, and how a step, a finished and an aborted request change them.

`engine.py` calls the record functions with what the replica reports; `exposition.py` reads the book.
"""

import time
from bisect import bisect_left
from collections.abc import Callable

from llmfleet.sim.replica import Replica
from llmfleet.sim.sequence import Sequence, StepResult
from sim_engine.families import KV_USAGE, Family, length_buckets

Key = tuple[str, str]


class Histogram:
    """Counts by upper bound, not cumulative; cheap for many equal observations at once."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count `value`, `times` times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


class Book:
    """All series of all families, by family name and value of the family's own label."""

    def __init__(
        self, families: tuple[Family, ...], *, max_model_len: int, wall: Callable[[], float] = time.time
    ) -> None:
        self._families = families
        self._lengths = length_buckets(max_model_len)
        self._wall = wall
        self.values: dict[Key, float] = {}
        self.histograms: dict[Key, Histogram] = {}
        self.created = 0.0
        self.reset()

    def reset(self) -> None:
        """Start all series again from zero, as a restarted process does."""
        self.created = self._wall()
        for family in self._families:
            for value in family.values:
                key = (family.stored, value)
                if family.kind == "histogram":
                    self.histograms[key] = Histogram(family.buckets or self._lengths)
                else:
                    self.values[key] = 0.0
        self.set("vllm:engine_sleep_state", 1, "awake")

    def add(self, name: str, amount: float, label: str = "") -> None:
        """Count on a counter, if this version has it."""
        if (name, label) in self.values:
            self.values[name, label] += amount

    def set(self, name: str, value: float, label: str = "") -> None:
        """Set a gauge, if this version has it."""
        if (name, label) in self.values:
            self.values[name, label] = value

    def observe(self, name: str, value: float, times: int = 1) -> None:
        """Count an observation, if this version has the histogram."""
        histogram = self.histograms.get((name, ""))
        if histogram and times:
            histogram.observe(max(0.0, value), times)


def record_gauges(book: Book, replica: Replica) -> None:
    """What the scheduler reports after each step, and only then: an engine that hangs leaves the last values."""
    book.set("vllm:num_requests_running", replica.running)
    book.set("vllm:num_requests_waiting", replica.waiting)
    book.set("vllm:num_requests_waiting_by_reason", replica.waiting, "capacity")
    book.set(KV_USAGE, replica.kv_usage)


def record_step(book: Book, step: StepResult, *, end: float, last_token: dict[str, float]) -> None:
    """Count one step that ended at `end`; `last_token` has the times at which preempted requests got their last one."""
    prompt_tokens = 0
    for sequence in step.prefilled:
        if sequence.first_token == end:
            prompt_tokens += sequence.request.prompt_tokens
            book.observe("vllm:time_to_first_token_seconds", end - sequence.arrived)
        else:
            book.observe("vllm:inter_token_latency_seconds", end - last_token.pop(sequence.request.id, end))
    book.observe("vllm:inter_token_latency_seconds", step.duration, step.decoded)
    book.add("vllm:prompt_tokens", prompt_tokens)
    book.add("vllm:prompt_tokens_by_source", prompt_tokens, "local_compute")
    book.add("vllm:generation_tokens", step.generated)
    book.add("vllm:num_preemptions", len(step.preempted))
    queried = sum(item.request.prompt_tokens for item in step.admitted if not item.preemptions)
    book.add("vllm:prefix_cache_queries", queried)
    if step.generated:
        book.observe("vllm:iteration_tokens_total", prompt_tokens + step.generated)


def record_finished(book: Book, sequence: Sequence, *, reason: str, max_tokens: int) -> None:
    """Count a request that has all its tokens."""
    scheduled, first, end = sequence.scheduled, sequence.first_token, sequence.finished
    if scheduled is None or first is None or end is None:
        raise ValueError(f"request {sequence.request.id!r} has not finished")
    generated = sequence.request.output_tokens
    book.add("vllm:request_success", 1, reason)
    book.observe("vllm:request_prompt_tokens", sequence.request.prompt_tokens)
    book.observe("vllm:request_prefill_kv_computed_tokens", sequence.request.prompt_tokens)
    book.observe("vllm:request_generation_tokens", generated)
    book.observe("vllm:request_max_num_generation_tokens", max_tokens)
    book.observe("vllm:request_params_max_tokens", max_tokens)
    book.observe("vllm:request_params_n", 1)
    book.observe("vllm:request_num_preemptions", sequence.preemptions)
    book.observe("vllm:request_queue_time_seconds", scheduled - sequence.arrived)
    book.observe("vllm:request_prefill_time_seconds", first - scheduled)
    book.observe("vllm:request_decode_time_seconds", end - first)
    book.observe("vllm:request_inference_time_seconds", end - scheduled)
    book.observe("vllm:e2e_request_latency_seconds", end - sequence.arrived)
    if generated > 1:
        book.observe("vllm:request_time_per_output_token_seconds", (end - first) / (generated - 1))
