"""From successive pages of one pod to rates, freshness and heartbeat. Pure: time comes in with each sample.

Second station of the autoscaler: scrape -> Sample -> `observe` -> Track -> `read` -> PodSignals -> policy. A counter
that falls, or another process start, is a restart: what was seen before is forgotten, so no rate of a counter is ever
negative or huge. A number that is unknown stays None. All times are monotonic seconds, all rates are per second.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from llmfleet.engine.metrics import EngineMetrics

RATE_WINDOW = 60.0
"""Seconds over which token and preemption rates are taken: long enough for a mean, short against a replica's start."""
FLOW_WINDOW = 12.0
"""Seconds over which queue growth and service are taken: two scrapes at the default period and slack, so that a step is
seen within ten seconds. It is noisy; only a queue that already stands makes the policy look at it."""
MAX_SAMPLES = 128
"""Most samples kept for one pod, however short the scrape period."""
SUSTAINED = 2
"""Scrapes with new preemptions within RATE_WINDOW that make preemption a state instead of an event."""
_START_JITTER = 1.0
"""Seconds by which a process's start time may differ without being another process."""

Value = Callable[[EngineMetrics], float | None]


class Quality(StrEnum):
    """What a pod's numbers are worth."""

    FRESH = "Fresh"
    """All gauges known and recent."""
    MISSING = "Missing"
    """Never seen, or the page lacks a gauge that scaling needs."""
    STALE = "Stale"
    """The last page is too old."""
    FROZEN = "Frozen"
    """Requests are in flight and nothing moves."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What tells a hang from work: /health answers 200 in both."""

    steps: float | None = None
    """Engine steps so far."""
    in_flight: float | None = None
    """Requests running and waiting."""
    silent_seconds: float = 0.0
    """How long requests have been in flight without a sign of life. Steps that only prefill do not count as steps; each
    of them changes the KV usage, but a single one may be long."""
    seen_at: float | None = None
    """When the last page came."""
    stepped: bool = False
    """Whether a step of this engine was ever seen since its process started or the operator did."""
    page_moves: bool | None = None
    """Whether the server's CPU time moved while the engine was silent: else the page itself stands still, and says
    nothing of the engine. None where the page does not state it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSignals:
    """What the policy sees of one pod; None is unknown. Everything is unknown when the last page is too old."""

    quality: Quality = Quality.MISSING
    missing: tuple[str, ...] = ()
    """vLLM's names of the gauges that a page lacks."""
    kv: float | None = None
    """KV-cache usage, 0..1."""
    running: float | None = None
    waiting: float | None = None
    queue: float | None = None
    """Those waiting for capacity, where the engine tells them from requests deferred for other causes."""
    queue_least: float | None = None
    """The shortest queue of the last FLOW_WINDOW seconds: what is not just the randomness of arrivals."""
    queue_growth: float | None = None
    running_growth: float | None = None
    finish_rate: float | None = None
    """Requests finished."""
    preemption_rate: float | None = None
    preempting: bool = False
    """Preemptions go on, as opposed to one that happened."""
    prompt_rate: float | None = None
    """Prompt tokens, those from the prefix cache included."""
    prefix_hit_rate: float | None = None
    """Prompt tokens from the prefix cache."""
    generation_rate: float | None = None
    """Tokens generated."""
    step_rate: float | None = None
    """Engine steps with output."""
    kv_cache_tokens: int | None = None
    """Capacity of the KV cache."""
    heartbeat: Heartbeat = Heartbeat()


def observe(track: Track | None, sample: Sample) -> Track:
    """Add a page. A sample that is not newer than the last one is ignored."""
    if track is not None and sample.at <= track.samples[-1].at:
        return track
    if track is None or _restarted(track.samples[-1].metrics, sample.metrics):
        return Track((sample,), sample.at, sample.metrics.process_cpu)
    last, oldest = track.samples[-1], sample.at - RATE_WINDOW
    kept = tuple(s for s in track.samples[1 - MAX_SAMPLES :] if s.at >= oldest)
    stepped = track.stepped or _work(last.metrics) != _work(sample.metrics)
    if _moved(last.metrics, sample.metrics):
        return Track((*kept, sample), sample.at, sample.metrics.process_cpu, stepped)
    return Track((*kept, sample), track.moved_at, track.cpu_then, stepped)


def read(track: Track | None, *, now: float, stale_after: float) -> PodSignals:
    """What the pod's pages say at `now`."""
    if track is None:
        return PodSignals()
    last = track.samples[-1]
    beat = Heartbeat(
        steps=last.metrics.steps,
        in_flight=_in_flight(last.metrics),
        silent_seconds=max(0.0, last.at - track.moved_at),
        seen_at=last.at,
        stepped=track.stepped,
        page_moves=_advanced(track.cpu_then, last.metrics.process_cpu),
    )
    if now - last.at > stale_after:
        return PodSignals(quality=Quality.STALE, heartbeat=beat)
    return _known(track, quality=_quality(last.metrics, beat, stale_after), heartbeat=beat)


def _known(track: Track, *, quality: Quality, heartbeat: Heartbeat) -> PodSignals:
    last = track.samples[-1]
    recent = _within(track.samples, FLOW_WINDOW)
    return PodSignals(
        quality=quality,
        missing=last.metrics.missing,
        kv=last.metrics.kv_usage,
        running=last.metrics.running,
        waiting=last.metrics.waiting,
        queue=_queue(last.metrics),
        queue_least=_least(recent),
        queue_growth=_rate(recent, _queue),
        running_growth=_rate(recent, lambda m: m.running),
        finish_rate=_rate(recent, lambda m: m.finished),
        preemption_rate=_rate(track.samples, lambda m: m.preemptions),
        preempting=_preempting(track.samples),
        prompt_rate=_rate(track.samples, lambda m: m.prompt_tokens),
        prefix_hit_rate=_rate(track.samples, lambda m: m.prefix_cache_hits),
        generation_rate=_rate(track.samples, lambda m: m.generation_tokens),
        step_rate=_rate(track.samples, lambda m: m.steps),
        kv_cache_tokens=last.metrics.kv_cache_tokens,
        heartbeat=heartbeat,
    )


def _quality(metrics: EngineMetrics, beat: Heartbeat, stale_after: float) -> Quality:
    if metrics.missing:
        return Quality.MISSING
    return Quality.FROZEN if beat.silent_seconds > stale_after else Quality.FRESH


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
    idle = not _in_flight(before) or not _in_flight(after)
    unknown = all(value is None for value in _work(after))
    return idle or unknown or _work(before) != _work(after) or _gauges(before) != _gauges(after)


def _advanced(before: float | None, after: float | None) -> bool | None:
    return None if before is None or after is None else after > before


def _in_flight(metrics: EngineMetrics) -> float | None:
    """Running and waiting. A wedged engine was seen to show 0 running, so both count."""
    known = [value for value in (metrics.running, metrics.waiting) if value is not None]
    return sum(known) if known else None


def _queue(metrics: EngineMetrics) -> float | None:
    return metrics.waiting if metrics.waiting_for_capacity is None else metrics.waiting_for_capacity


def _least(samples: tuple[Sample, ...]) -> float | None:
    """The shortest queue of at least two samples."""
    queues = [queue for sample in samples if (queue := _queue(sample.metrics)) is not None]
    return min(queues) if len(queues) > 1 else None


def _within(samples: tuple[Sample, ...], seconds: float) -> tuple[Sample, ...]:
    oldest = samples[-1].at - seconds
    return tuple(sample for sample in samples if sample.at >= oldest)


def _rate(samples: Iterable[Sample], value: Value) -> float | None:
    """Change per second between the first and the last sample that know the value."""
    known = [(sample.at, number) for sample in samples if (number := value(sample.metrics)) is not None]
    if len(known) < 2:  # noqa: PLR2004 (a change needs two)
        return None
    (first_at, first), (last_at, last) = known[0], known[-1]
    return (last - first) / (last_at - first_at)


def _preempting(samples: tuple[Sample, ...]) -> bool:
    counts = [sample.metrics.preemptions for sample in samples if sample.metrics.preemptions is not None]
    return sum(after > before for before, after in pairwise(counts)) >= SUSTAINED
