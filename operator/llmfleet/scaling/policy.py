"""How many replicas, and why: one pure function of configuration, fleet, memory and time.

Third station of the autoscaler: signals -> fleet -> `decide` -> Decision -> loop (writes) and status (reports). The
rules, in the order in which they bind:

1. minReplicas and maxReplicas always hold, also when nothing is known.
2. More replicas at once, the whole answer in one decision, as far as the known part of the load asks for them. Replicas
   that still start are part of the current number, so they are not asked for twice. Only where the newest look may have
   seen the beginning of a step of the arrivals, the next look, which knows its height, decides.
3. Fewer only when every serving replica gave fresh numbers, every term has agreed for the whole scale-down delay (the
   largest wish in that time is what is done), a whole delay has passed since this memory began, and two since replicas
   were added. What the rest would carry is the terms' to work out.
4. With minReplicas 0 the step between one replica and none is `idle`'s.
5. No more replicas while the last ones find no room, and no write against somebody else who keeps writing the number.

`now` is monotonic seconds. A State is a value: `decide` returns the next one, and `written` is told of a write that was
done. Nothing here waits, reads a clock, or talks to anyone.
"""

from dataclasses import dataclass, replace

from llmfleet.api.conditions import Reason
from llmfleet.scaling.capacity import Capacity
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet, Totals
from llmfleet.scaling.idle import noted, verdict
from llmfleet.scaling.learning import SURE
from llmfleet.scaling.signals import Quality
from llmfleet.scaling.state import REST, State, applied, learnt, listened, noticed, remembered, rested, settled
from llmfleet.scaling.terms import TERMS, Term, counted, full_service_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer and its reason."""

    current: int
    wanted: int
    reason: Reason
    message: str
    cause: str = ""
    """The term that asks for most, or "bounds"."""
    terms: tuple[Term, ...] = ()
    totals: Totals
    write: bool = False
    """Whether spec.replicas should be written."""


def decide(config: ScalingConfig, fleet: Fleet, state: State, now: float) -> tuple[Decision, State]:
    """The number of replicas for this moment, and the memory for the next."""
    if fleet.suspended:
        words = "suspended: spec.suspend is true"
        return _decision(fleet, Reason.DISABLED, words, wanted=fleet.current), State(history=state.history)
    state = noticed(config, fleet, state, now)
    if state.stand_back_until is not None:
        words = (
            f"{fleet.replicas_manager or 'another writer'} keeps writing spec.replicas over the autoscaler's number; "
            "remove the other autoscaler, or remove spec.scaling"
        )
        return _decision(fleet, Reason.REPLICAS_OWNED_ELSEWHERE, words, wanted=config.bounded(fleet.current)), state
    state = noted(fleet, state, now)
    if (found := verdict(config, fleet, state, now)) is not None:
        write = found.replicas != fleet.current
        words = found.sentence
        return _decision(fleet, found.reason, words, wanted=found.replicas, cause=found.cause, write=write), state
    state = learnt(state, full_service_rate(config, fleet), now)
    state = listened(config, fleet, state)
    fleet = replace(fleet, service_rate=state.service_rate, capacity=_capacity(config, fleet, state))
    terms = asked(config, fleet)
    most = max((term.replicas for term in terms), default=config.bounded(fleet.current))
    state = remembered(state, now, config.bounded(most if _complete(fleet) else max(most, fleet.current)))
    target = _target(config, fleet, state, asked=most, now=now)
    decision = _explained(config, fleet, state, terms=terms, asked=most, target=target, now=now)
    return decision, replace(state, raised_at=now) if target > fleet.current else state


def asked(config: ScalingConfig, fleet: Fleet) -> tuple[Term, ...]:
    """What each side of the load asks for."""
    return tuple(answer for term in TERMS if (answer := term(config, fleet)) is not None)


def written(state: State, decision: Decision, time: str) -> State:
    """The memory after `decision` was written at `time` (RFC 3339)."""
    return applied(
        state,
        before=decision.current,
        after=decision.wanted,
        cause=decision.cause,
        message=decision.message,
        time=time,
    )


def _capacity(config: ScalingConfig, fleet: Fleet, state: State) -> Capacity | None:
    """What a replica can carry; None while too little was seen of requests and of engines."""
    demand, estimate, targets = state.load.demand, state.estimate, config.targets
    if demand is None or estimate is None:
        return None
    found = Capacity.of(targets, demand, estimate.speed, start=config.start, kv_tokens=fleet.kv_cache_tokens)
    return found if estimate.error(found.shares) <= SURE else None


def _complete(fleet: Fleet) -> bool:
    return bool(fleet.serving) and not fleet.unknown


def _blocked(fleet: Fleet) -> bool:
    """Whether the cluster has no room for what was asked for already."""
    return bool(fleet.unschedulable or fleet.quota_exceeded)


def _target(config: ScalingConfig, fleet: Fleet, state: State, *, asked: int, now: float) -> int:
    """The number within the bounds: up at once, down to the largest wish of the delay."""
    if asked > fleet.current:
        return config.bounded(fleet.current if _blocked(fleet) or state.load.rising else asked)
    if not (_complete(fleet) and settled(state, now) and rested(state, now)):
        return config.bounded(fleet.current)
    return config.bounded(min(fleet.current, max(asked, state.peaks[0][1])))


def _explained(
    config: ScalingConfig, fleet: Fleet, state: State, *, terms: tuple[Term, ...], asked: int, target: int, now: float
) -> Decision:
    """Put the answer into words."""
    reason, remark = _reason(config, fleet, state, asked=asked, target=target, now=now)
    cause = max(terms, key=lambda term: term.replicas).name if terms else ""
    if target != fleet.current and target == config.bounded(fleet.current):
        cause = "bounds"
        remark = remark or f"minReplicas is {config.min_replicas} and maxReplicas {config.max_replicas}"
    before = f"{fleet.current} -> " if target != fleet.current else ""
    remarks = [remark] if remark else []
    numbers = [f"{term.sentence} asks for {term.replicas}" for term in terms]
    message = f"{before}{counted(target)}" + "".join(f"; {part}" for part in remarks + numbers)
    return _decision(fleet, reason, message, wanted=target, cause=cause, terms=terms, write=target != fleet.current)


def _reason(
    config: ScalingConfig, fleet: Fleet, state: State, *, asked: int, target: int, now: float
) -> tuple[Reason, str]:
    """The one word of ScalingActive and the remark that belongs to it. The first that applies."""
    if obstacle := _obstacle(config, fleet, asked):
        return obstacle
    if state.load.rising and asked > fleet.current:
        return Reason.SCALING, "arrivals have just begun to step up: the next look tells how far"
    if target <= fleet.current and not _complete(fleet):
        return _held(fleet)
    if config.bounded(asked) < target:
        return _stepping(state) if target < fleet.current else _waiting(state, now)
    if fleet.unknown:
        return Reason.SCALING, f"{counted(len(fleet.unknown))} without fresh metrics: the unknown counts as no load"
    return Reason.SCALING, ""


def _obstacle(config: ScalingConfig, fleet: Fleet, asked: int) -> tuple[Reason, str] | None:
    """What stands between the load and its replicas."""
    needed = asked >= fleet.current
    if needed and fleet.quota_exceeded:
        return Reason.QUOTA_EXCEEDED, f"the cluster refuses more pods ({fleet.quota_exceeded})"
    if needed and fleet.unschedulable:
        return Reason.INSUFFICIENT_GPU, f"no node has room for {fleet.unschedulable} of them"
    if asked > config.max_replicas:
        return Reason.AT_MAXIMUM, f"maxReplicas is {config.max_replicas}"
    return None


def _stepping(state: State) -> tuple[Reason, str]:
    """On the way down, held by a larger wish that is not old enough."""
    return Reason.SCALING, f"the most that was wanted in the last {state.delay:.0f} s (scaleDownDelaySeconds)"


def _waiting(state: State, now: float) -> tuple[Reason, str]:
    """Fewer would do, but not for long enough, or nobody has watched for long enough."""
    delay = f"{state.delay:.0f} s (scaleDownDelaySeconds)"
    if not settled(state, now):
        return Reason.HELD_AFTER_RESTART, f"fewer would do, but the autoscaler has not watched for {delay} yet"
    if not rested(state, now):
        return Reason.SCALING, f"fewer would do, but replicas were added less than {REST:.0f} x {delay} ago"
    return Reason.SCALING, f"fewer would do, once that has been so for {delay}"


def _held(fleet: Fleet) -> tuple[Reason, str]:
    """Which replicas are unknown, and what is wrong with them."""
    if not fleet.serving:
        return Reason.HELD_MISSING_METRICS, "no replica is ready, so the load is unknown"
    missing = [replica for replica in fleet.unknown if replica.signals.quality is Quality.MISSING]
    pods = missing or fleet.unknown
    names = ", ".join(replica.name for replica in pods[:3]) + (" ..." if len(pods) > 3 else "")  # noqa: PLR2004
    share = f"{len(pods)} of {len(fleet.serving)} ready replicas ({names})"
    if not missing:
        return Reason.HELD_STALE, f"metrics of {share} are old or frozen, so none is taken away"
    gauges = sorted({gauge for replica in missing for gauge in replica.signals.missing})
    lacking = f": {', '.join(gauges)} not on the page" if gauges else ""
    return Reason.HELD_MISSING_METRICS, f"no usable metrics from {share}{lacking}, so none is taken away"


def _decision(
    fleet: Fleet,
    reason: Reason,
    message: str,
    *,
    wanted: int,
    cause: str = "",
    terms: tuple[Term, ...] = (),
    write: bool = False,
) -> Decision:
    return Decision(
        current=fleet.current,
        wanted=wanted,
        reason=reason,
        message=message,
        cause=cause,
        terms=terms,
        totals=fleet.totals,
        write=write,
    )
