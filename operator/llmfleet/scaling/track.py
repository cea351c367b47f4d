"""What is remembered of one engine process: its last pages, and when it gave a sign of life. Pure.

Between scrape and signals: page -> Sample -> `observe` -> Track -> `signals.read`. A counter that falls, or another
process start, is a restart: what was seen before is forgotten. Time comes in with each sample, in monotonic seconds.
"""

from bisect import bisect_left
from dataclasses import dataclass
from operator import attrgetter

from llmfleet.engine.metrics import EngineMetrics

RATE_WINDOW = 60.0
"""Seconds over which token and preemption rates are taken: long enough for a mean, short against a replica's start."""
MAX_SAMPLES = 128
"""Most samples kept for one pod, however short the scrape period."""
_START_JITTER = 1.0
"""Seconds by which a process's start time may differ without being another process."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One page of one pod."""

    at: float
    """When the answer came."""
    metrics: EngineMetrics


@dataclass(frozen=True, slots=True)
class Track:
    """What is remembered of one pod."""

    samples: tuple[Sample, ...]
    """Since the last restart and within RATE_WINDOW, oldest first; never empty."""
    moved_at: float
    """When the engine gave a sign of life last, or no request was in flight."""
    cpu_then: float | None = None
    """CPU time that the page stated at that moment."""
    stepped: bool = False
    """Whether a step of this engine was ever seen."""


def observe(track: Track | None, sample: Sample) -> Track:
    """Add a page. A sample that is not newer than the last one is ignored."""
    if track is not None and sample.at <= track.samples[-1].at:
        return track
    if track is None or _restarted(track.samples[-1].metrics, sample.metrics):
        return Track((sample,), sample.at, sample.metrics.process_cpu)
    last, kept = track.samples[-1], track.samples[1 - MAX_SAMPLES :]
    kept = kept[bisect_left(kept, sample.at - RATE_WINDOW, key=attrgetter("at")) :]
    stepped = track.stepped or _work(last.metrics) != _work(sample.metrics)
    if _moved(last.metrics, sample.metrics):
        return Track((*kept, sample), sample.at, sample.metrics.process_cpu, stepped)
    return Track((*kept, sample), track.moved_at, track.cpu_then, stepped)


def in_flight(metrics: EngineMetrics) -> float | None:
    """Requests running and waiting. A wedged engine was seen to show 0 running, so both count."""
    known = [value for value in (metrics.running, metrics.waiting) if value is not None]
    return sum(known) if known else None


def _work(metrics: EngineMetrics) -> tuple[float | None, ...]:
    """Counters that only an engine's step moves. Requests that end are not among them: a client may have hung up."""
    return (metrics.steps, metrics.generation_tokens, metrics.prompt_tokens)


def _gauges(metrics: EngineMetrics) -> tuple[float | None, ...]:
    """Set anew by each step, one that only prefills too (vLLM `Scheduler.update_from_output`, 0.7.3 and later)."""
    return (metrics.running, metrics.waiting, metrics.kv_usage)


def _restarted(before: EngineMetrics, after: EngineMetrics) -> bool:
    """Another process start, or any counter that fell or vanished."""
    starts = (before.process_start, after.process_start)
    if starts[0] is not None and starts[1] is not None and abs(starts[1] - starts[0]) > _START_JITTER:
        return True
    old, new = ((*_work(metrics), metrics.finished, metrics.preemptions) for metrics in (before, after))
    return any(then is not None and (now is None or now < then) for then, now in zip(old, new, strict=True))


def _moved(before: EngineMetrics, after: EngineMetrics) -> bool:
    """Whether the engine works, is idle, or gives no counter by which it could be judged."""
    idle = not in_flight(before) or not in_flight(after)
    unknown = all(value is None for value in _work(after))
    return idle or unknown or _work(before) != _work(after) or _gauges(before) != _gauges(after)
