"""What one engine did between two of its pages: the raw material of arrival rates, lengths and step times. Pure.

Station between track and load: two Samples -> Interval -> `load` (what comes in) and `learning` (how fast steps are).
"""

from dataclasses import dataclass

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling.track import Sample

BUSY_RUNNING = 4.0
"""Requests in execution at both ends from which an engine is taken to have stepped all the time between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Changes of counters, all of the same engine process."""

    at: float
    """When the newer page came, monotonic seconds."""
    seconds: float
    arrived: float
    """Requests that came: those that ended, and by which running and waiting became more. Below 0 by aborts only."""
    ended: float
    growth: float
    """By how many requests the batch grew."""
    running: float
    """Requests in execution, mean of both ends."""
    prompt_tokens: float
    """Prompt tokens, those from the prefix cache included."""
    computed_tokens: float
    """Prompt tokens without those."""
    generated_tokens: float
    steps: float
    kv_tokens: float
    """Tokens whose KV cache requests hold, mean of both ends."""
    busy: bool
    """Whether the engine certainly never was idle."""
    disturbed: bool
    """Whether requests were preempted: what is recomputed stands in no counter."""

    @property
    def admitted(self) -> float:
        """Requests that left the queue."""
        return max(0.0, self.ended + self.growth)


def between(before: Sample, after: Sample) -> Interval | None:
    """The interval, or None where the pages lack a counter that it needs."""
    then, now = before.metrics, after.metrics
    seconds, capacity = after.at - before.at, now.kv_cache_tokens
    ended, prompt = _change(then.finished, now.finished), _change(then.prompt_tokens, now.prompt_tokens)
    generated, steps = _change(then.generation_tokens, now.generation_tokens), _change(then.steps, now.steps)
    gauges_then, gauges_now = _gauges(then), _gauges(now)
    if seconds <= 0 or capacity is None or gauges_then is None or gauges_now is None:
        return None
    if ended is None or prompt is None or generated is None or steps is None:
        return None
    hits = min(prompt, _change(then.prefix_cache_hits, now.prefix_cache_hits) or 0.0)
    (kv_then, run_then, wait_then), (kv_now, run_now, wait_now) = gauges_then, gauges_now
    return Interval(
        at=after.at,
        seconds=seconds,
        arrived=ended + run_now - run_then + wait_now - wait_then,
        ended=ended,
        growth=run_now - run_then,
        running=(run_then + run_now) / 2,
        prompt_tokens=prompt,
        computed_tokens=prompt - hits,
        generated_tokens=generated,
        steps=steps,
        kv_tokens=capacity * (kv_then + kv_now) / 2,
        busy=min(run_then, run_now) >= BUSY_RUNNING or min(wait_then, wait_now) >= 1,
        disturbed=bool(_change(then.preemptions, now.preemptions)),
    )


def _change(before: float | None, after: float | None) -> float | None:
    """By how much a counter grew; None where it is unknown, or fell (the track begins anew then)."""
    return after - before if before is not None and after is not None and after >= before else None


def _gauges(metrics: EngineMetrics) -> tuple[float, float, float] | None:
    if metrics.kv_usage is None or metrics.running is None or metrics.waiting is None:
        return None
    return metrics.kv_usage, metrics.running, metrics.waiting
