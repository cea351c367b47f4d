"""Which engines hang, and which one of them may be replaced now. Pure.

Beside the policy on the autoscaler's path: signals -> `examine` -> `choose` -> guard (deletes the pod). /health answers
200 while the engine process is stopped or wedged (seen on vLLM 0.32.0; vLLM issues 39863, 46811), so neither readiness
nor liveness sees it, and clients wait for ever.

An engine hangs when its page is served, says that requests are in flight, and nothing that only a step can move has
moved for longer than the grace; and when that is still so a quarter of the grace later, with fresh pages throughout. A
page that fails to come is no hang: liveness deals with that. An engine that is idle, or that wedges on the very first
request after being idle, shows no request in flight: that cannot be told from rest.

All times are seconds; monotonic for what is watched, Unix time for replacements, which outlive this process in the
status.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from llmfleet.api.settings import HangSettings
from llmfleet.scaling.ports import EngineFacts, PodRef, Replacement
from llmfleet.scaling.signals import PodSignals, Quality

SLOWEST_PREFILL = 1000.0
"""Prompt tokens per second below which no GPU worth serving on falls: an H200 was measured at 41,000 with an 8B model.
CPU builds are slower; there the KV usage, which each chunk of a prompt changes, is the sign of life."""
PREFILL_MARGIN = 2.0
"""Times the longest prefill that an engine may be silent."""
USUAL_CONTEXT = 131_072
"""Longest prompt in tokens where the spec does not say: what most open models of today take."""
UNSEEN_FACTOR = 3.0
"""Times the grace for an engine that this process never saw step: after a restart of the operator all are new to it,
and counters that never move at all must not pass for a hang."""
CONFIRM_SHARE = 0.25
"""Share of the grace after which the second look comes."""
HOUR = 3600.0
_LOGS = "see the engines' logs, and delete the pod"
REMEMBERED = 5
"""Replacements kept for each object, in the status too; no fewer than the largest cap."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """An engine that was silent for too long."""

    since: float
    """When the page came that raised it."""
    confirmed: str = ""
    """The numbers, once the second look agreed; empty before."""


@dataclass(frozen=True, slots=True)
class Patient:
    """One replica that takes requests."""

    pod: PodRef
    signals: PodSignals
    suspicion: Suspicion | None = None

    @property
    def hangs(self) -> bool:
        """Whether it hangs for sure."""
        return self.suspicion is not None and bool(self.suspicion.confirmed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """One object's replicas, and what was done for them lately."""

    patients: tuple[Patient, ...]
    changing: int = 0
    """Pods that start or end; those that no node has room for do not count: they may wait for a hung one's GPU."""
    waited: float = 0.0
    """Seconds since the first hang was noticed."""
    patience: float
    """Seconds for which pods that start or end are waited for."""
    past: tuple[Replacement, ...] = ()
    """Replacements of this object, newest first."""
    elsewhere: int = 0
    """Replacements of all objects within the last hour."""

    @property
    def hung(self) -> tuple[Patient, ...]:
        """Those that hang, the longest silent first."""
        found = (one for one in self.patients if one.hangs)
        return tuple(sorted(found, key=lambda one: -one.signals.heartbeat.silent_seconds))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which hung replica goes now, or why none does."""

    patient: Patient | None = None
    obstacle: str = ""


def grace(settings: HangSettings, facts: EngineFacts, kv_cache_tokens: int | None) -> float:
    """Seconds of silence that are work: as set, and at least twice the longest prefill.

    The longest prompt is the spec's maxModelLen, and no longer than the KV cache.
    """
    longest = USUAL_CONTEXT if facts.max_model_len is None else facts.max_model_len
    if kv_cache_tokens is not None:
        longest = min(longest, kv_cache_tokens)
    return max(settings.grace_seconds, PREFILL_MARGIN * longest / SLOWEST_PREFILL)


def examine(
    suspicion: Suspicion | None, signals: PodSignals, facts: EngineFacts, settings: HangSettings
) -> Suspicion | None:
    """What is thought of an engine after its latest page; None while nothing speaks against it, or nothing is known."""
    beat = signals.heartbeat
    if signals.quality in {Quality.MISSING, Quality.STALE} or beat.seen_at is None:
        return None
    if beat.steps is None or not beat.in_flight or beat.page_moves is False:
        return None
    patience = grace(settings, facts, signals.kv_cache_tokens) * (1.0 if beat.stepped else UNSEEN_FACTOR)
    if beat.silent_seconds <= patience:
        return None
    if suspicion is None:
        return Suspicion(beat.seen_at)
    if suspicion.confirmed or beat.seen_at < suspicion.since + CONFIRM_SHARE * settings.grace_seconds:
        return suspicion
    requests = "1 request" if beat.in_flight == 1 else f"{beat.in_flight:.0f} requests"
    return Suspicion(suspicion.since, f"{requests} in flight and no engine step for {beat.silent_seconds:.0f} s")


def choose(ward: Ward, settings: HangSettings, now: float) -> Choice:
    """Which of an object's hung replicas goes now (Unix time): one at a time, and only so many in an hour."""
    if not ward.hung:
        return Choice()
    for rule in (_caps, _shared_cause, _one_at_a_time):
        if obstacle := rule(ward, settings, now):
            return Choice(obstacle=obstacle)
    return Choice(ward.hung[0])


def recent(times: Iterable[float], now: float) -> int:
    """How many of these Unix times lie within the last hour."""
    return sum(now - time < HOUR for time in times)


def _caps(ward: Ward, settings: HangSettings, now: float) -> str:
    """Numbers that lie, or an engine that hangs again and again, must not take pod after pod."""
    done, most, everywhere = recent((one.at for one in ward.past), now), settings.replacements_per_hour, ward.elsewhere
    if not most:
        return "hangs.replacementsPerHour is 0 in the operator's settings: delete the pod"
    if done >= most:
        return f"{done} were replaced in the last hour, the most that hangs.replacementsPerHour allows: {_LOGS}"
    if everywhere >= settings.cluster_replacements_per_hour:
        return (
            f"{everywhere} replicas of all LLMDeployments were replaced in the last hour, the most that "
            f"hangs.clusterReplacementsPerHour allows: {_LOGS}"
        )
    return ""


def _shared_cause(ward: Ward, _: HangSettings, now: float) -> str:
    """Where more than half hang, something that they share may be at fault: a request, a driver, the numbers.

    New replicas may then fare no better, so another one goes only once one that was made since the last replacement
    was seen to work, be it for a while.
    """
    if not ward.past or not recent([ward.past[0].at], now) or 2 * len(ward.hung) <= len(ward.patients):
        return ""
    last = ward.past[0]
    if any(one.signals.heartbeat.stepped for one in ward.patients if one.pod.created_at >= last.at):
        return ""
    share = f"{len(ward.hung)} of {len(ward.patients)} replicas hang"
    return f"{share}, and none that was made since {last.pod} was replaced was ever seen to work: {_LOGS}"


def _one_at_a_time(ward: Ward, _: HangSettings, __: float) -> str:
    """A pod that starts or ends is waited for, but not for ever: a hung replica serves nobody."""
    if not ward.changing or ward.waited >= ward.patience:
        return ""
    return "another replica starts or ends"
