"""What of a decision is written into status.scaling, and when. Pure.

Decisions come every few seconds and their numbers always move; a status that follows them would be a write every few
seconds for each object, for ever. So what matters (desired replicas, reason, history) is shown at once, and numbers,
rounded, at most once a minute; when nothing changes nothing is written.
"""

from dataclasses import dataclass

from llmfleet.api.status import ScalingChange, ScalingSignals, ScalingStatus
from llmfleet.scaling.fleet import Totals
from llmfleet.scaling.policy import Decision
from llmfleet.scaling.state import Change

REFRESH_SECONDS = 60.0
"""Shortest time between two refreshes of mere numbers."""
_MOST = 1000.0
"""Highest utilization that the status takes."""
_TEXT = 1024
"""Longest message that the status takes."""


@dataclass(frozen=True, slots=True)
class Published:
    """What stands in the status, and since when its numbers do."""

    status: ScalingStatus
    at: float
    """Monotonic seconds."""
    said: tuple[object, ...] = ()
    """What of a decision matters in it: no status has to be made to see that it is the same. Empty where another one
    decides."""


def status_of(decision: Decision, history: tuple[Change, ...], previous: Published | None, *, now: float) -> Published:
    """The status to show: `previous` itself where there is nothing to write."""
    said = (decision.wanted, decision.reason, history)
    if previous is not None and previous.said == said and now - previous.at < REFRESH_SECONDS:
        return previous
    return _published(Published(_status(decision, history), now, said), previous)


def seen(totals: Totals, history: tuple[Change, ...], previous: Published | None, *, now: float) -> Published:
    """The same where another one decides: what the engines say, and the changes that were ours."""
    status = ScalingStatus(signals=_signals(totals), history=[_change(change) for change in history])
    return _published(Published(status, now), previous)


def _published(new: Published, previous: Published | None) -> Published:
    if previous is None:
        return new
    if _matters(new.status) == _matters(previous.status) and new.at - previous.at < REFRESH_SECONDS:
        return previous
    return previous if new.status == previous.status else new


def _matters(status: ScalingStatus) -> tuple[object, ...]:
    return status.desired_replicas, status.reason, status.history


def _status(decision: Decision, history: tuple[Change, ...]) -> ScalingStatus:
    return ScalingStatus(
        desired_replicas=decision.wanted,
        reason=decision.reason,
        message=decision.message[:_TEXT],
        last_scale_time=history[0].time if history else None,
        signals=_signals(decision.totals),
        history=[_change(change) for change in history],
    )


def _change(change: Change) -> ScalingChange:
    return ScalingChange(
        time=change.time,
        from_=change.before,
        to=change.after,
        reason=change.reason,
        message=change.message[:_TEXT],
    )


def _signals(totals: Totals) -> ScalingSignals:
    """Whole numbers; token rates to two digits, since the third is noise and would be a write."""
    return ScalingSignals(
        replicas_observed=totals.observed,
        kv_cache_usage_percent=None if totals.kv_mean is None else round(100 * totals.kv_mean),
        utilization_percent=None if totals.utilization is None else round(100 * min(totals.utilization, _MOST)),
        requests_running=_whole(totals.running),
        requests_waiting=_whole(totals.waiting),
        preemptions_per_minute=_whole(totals.preemptions_per_minute),
        prompt_tokens_per_second=_two_digits(totals.prompt_tokens_per_second),
        generation_tokens_per_second=_two_digits(totals.generation_tokens_per_second),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _two_digits(value: float | None) -> int | None:
    return None if value is None else round(float(f"{value:.2g}"))
