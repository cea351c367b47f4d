"""From successive pages of one pod to rates, freshness and heartbeat. Pure: time comes in with each sample.

Second station of the autoscaler: scrape -> Sample -> Track -> `read` -> PodSignals -> policy. A track begins anew with
each process, so no rate of a counter is ever negative or huge. A number that is unknown stays None. All times are
monotonic seconds, all rates are per second.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from operator import attrgetter

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling.interval import Interval, between
from llmfleet.scaling.track import Sample, Track, in_flight

FLOW_WINDOW = 12.0
"""Seconds over which queue growth and service are taken: two scrapes at the default period and slack, so that a step is
seen within ten seconds. It is noisy; only a queue that already stands makes the policy look at it."""
SUSTAINED = 2
"""Scrapes with new preemptions within RATE_WINDOW that make preemption a state instead of an event."""

Value = Callable[[EngineMetrics], float | None]
_RUNNING: Value = attrgetter("running")
_FINISHED: Value = attrgetter("finished")
_PREEMPTIONS: Value = attrgetter("preemptions")
_PROMPT_TOKENS: Value = attrgetter("prompt_tokens")
_PREFIX_CACHE_HITS: Value = attrgetter("prefix_cache_hits")
_GENERATION_TOKENS: Value = attrgetter("generation_tokens")
_STEPS: Value = attrgetter("steps")
_AT: Callable[[Sample], float] = attrgetter("at")


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
    kv_cache_dtype: str | None = None
    """Type of the KV cache by vLLM's name, auto included."""
    prefix_caching: bool | None = None
    """Whether the engine keeps the KV cache of prompts for others that begin alike."""
    interval: Interval | None = None
    """What the engine did between its last two pages."""
    heartbeat: Heartbeat = Heartbeat()

    @property
    def tokens_per_step(self) -> float | None:
        """Tokens that a step computed, on average; those found in the prefix cache were not computed."""
        if not self.step_rate or self.prompt_rate is None or self.generation_rate is None:
            return None
        return (self.prompt_rate - (self.prefix_hit_rate or 0.0) + self.generation_rate) / self.step_rate


def read(track: Track | None, *, now: float, stale_after: float) -> PodSignals:
    """What the pod's pages say at `now`."""
    if track is None:
        return PodSignals()
    last = track.samples[-1]
    beat = Heartbeat(
        steps=last.metrics.steps,
        in_flight=in_flight(last.metrics),
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
    preemption_rate = _rate(track.samples, _PREEMPTIONS)
    return PodSignals(
        quality=quality,
        missing=last.metrics.missing,
        kv=last.metrics.kv_usage,
        running=last.metrics.running,
        waiting=last.metrics.waiting,
        queue=_queue(last.metrics),
        queue_least=_least(recent),
        queue_growth=_rate(recent, _queue),
        running_growth=_rate(recent, _RUNNING),
        finish_rate=_rate(recent, _FINISHED),
        preemption_rate=preemption_rate,
        preempting=bool(preemption_rate) and _preempting(track.samples),
        prompt_rate=_rate(track.samples, _PROMPT_TOKENS),
        prefix_hit_rate=_rate(track.samples, _PREFIX_CACHE_HITS),
        generation_rate=_rate(track.samples, _GENERATION_TOKENS),
        step_rate=_rate(track.samples, _STEPS),
        kv_cache_tokens=last.metrics.kv_cache_tokens,
        kv_cache_dtype=last.metrics.kv_cache_dtype,
        prefix_caching=last.metrics.prefix_caching,
        interval=between(*track.samples[-2:]) if len(track.samples) > 1 else None,
        heartbeat=heartbeat,
    )


def _quality(metrics: EngineMetrics, beat: Heartbeat, stale_after: float) -> Quality:
    if metrics.missing:
        return Quality.MISSING
    return Quality.FROZEN if beat.silent_seconds > stale_after else Quality.FRESH


def _advanced(before: float | None, after: float | None) -> bool | None:
    return None if before is None or after is None else after > before


def _queue(metrics: EngineMetrics) -> float | None:
    return metrics.waiting if metrics.waiting_for_capacity is None else metrics.waiting_for_capacity


def _least(samples: tuple[Sample, ...]) -> float | None:
    """The shortest queue of at least two samples."""
    queues = [queue for sample in samples if (queue := _queue(sample.metrics)) is not None]
    return min(queues) if len(queues) > 1 else None


def _within(samples: tuple[Sample, ...], seconds: float) -> tuple[Sample, ...]:
    return samples[bisect_left(samples, samples[-1].at - seconds, key=_AT) :]


def _rate(samples: tuple[Sample, ...], value: Value) -> float | None:
    """Change per second between the first and the last sample that know the value."""
    then, now = _first_known(samples, value), _first_known(reversed(samples), value)
    if then is None or now is None or then[0] == now[0]:
        return None
    return (now[1] - then[1]) / (now[0] - then[0])


def _first_known(samples: Iterable[Sample], value: Value) -> tuple[float, float] | None:
    """When the first of the samples was taken that know the value, and the value."""
    for sample in samples:
        if (number := value(sample.metrics)) is not None:
            return sample.at, number
    return None


def _preempting(samples: tuple[Sample, ...]) -> bool:
    counts = [sample.metrics.preemptions for sample in samples if sample.metrics.preemptions is not None]
    return sum(after > before for before, after in pairwise(counts)) >= SUSTAINED
