"""How many replicas the load asks for, seen from several sides; the policy takes the largest answer. Pure.

Each term is a small function (config, fleet) -> Term, or None where it knows nothing. Neither term is enough alone, in
opposite ways: with long prompts the queue grows without bound while KV usage stays at a quarter; with long answers KV
usage climbs for minutes while the queue stays empty (both measured on an H200).

A term may be short of data of some replicas. Those count as no load: what is known may ask for more replicas, and
taking replicas away is not for the terms to allow but for the policy, which then refuses.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil

from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet, known, total
from llmfleet.scaling.signals import FLOW_WINDOW, PodSignals

TOLERANCE = 0.10
"""Share by which a target may be missed without a change, as in the HorizontalPodAutoscaler."""
PREEMPTING_USAGE = 1.2
"""What a replica that goes on preempting counts as: its requests need more than the whole cache."""
MIN_FINISHED = 3.0
"""Requests that a replica must have served in the window before its service rate means anything."""
UNRATED_STEP = 4
"""Most times the serving replicas that a queue may ask for while no service rate is known."""
DRAIN_SHARE = 0.5
"""Most of the arrivals' replicas that are added to drain a queue. Requests stay in the queue that they are in, so more
replicas only take new ones off the full replicas, and beyond this hardly any."""
QUEUE_SHARE = 0.5
"""Of the time to first token that a queue must be worth to count at once; a shorter one must have stood for
FLOW_WINDOW."""
SERVICE_TARGET = 0.8
"""Share of a full replica's service rate that each replica should be left with when others are taken away."""
_EPSILON = 1e-9
"""Keeps 3.0000000001 from being four replicas."""


@dataclass(frozen=True, slots=True)
class Term:
    """One side's answer."""

    name: str
    replicas: int
    """How many it asks for; the current number where that is near enough."""
    sentence: str
    """The numbers behind it."""


def memory(config: ScalingConfig, fleet: Fleet) -> Term | None:
    """KV-cache usage of all replicas together, over the target for one. A replica that preempts counts as over-full.

    Usage is arrivals times residence, and residence grows as 1 / (1 - utilization): where the step-time model knows the
    utilization, usage on another number of replicas follows from that; else it is taken to be in proportion to load.
    Caches that a queue has filled while replicas started need none besides, where what arrives is carried.
    """
    serving = [replica.signals for replica in fleet.serving if replica.signals.kv is not None]
    usages = known(signals.kv for signals in serving)
    if not usages:
        return None
    preempting = sum(signals.preempting for signals in serving)
    demand = sum(PREEMPTING_USAGE if one.preempting else kv for one, kv in zip(serving, usages, strict=True))
    target = config.targets.kv_usage
    mean = _percent(sum(usages) / len(usages))
    words = f"KV cache {mean} full on {counted(len(usages))} (target {_percent(target)})"
    words += f", {preempting} of them preempting" if preempting else ""
    exact = demand / target
    if fleet.capacity:
        busy = min(1.0, fleet.capacity.work / len(usages))
        exact = exact * (1 - busy) + busy * len(usages)
    replicas = fitting(exact, fleet.current)
    if replicas > fleet.current and _is_passing(fleet):
        replicas, words = fleet.current, f"{words}, filled by a load that passes"
    return Term("memory", replicas, words)


def backlog(config: ScalingConfig, fleet: Fleet) -> Term | None:
    """The requests that wait, how fast they become more, and what full replicas were seen to serve.

    Up to `targets.waiting` for each replica the queue asks for the replicas that hold it; of the shortest queue of the
    last seconds, where the step-time model knows what the arrivals need. Beyond, the number comes from flows. A queue
    that does not shrink asks for at least one more; one that drains in time for none. Without a queue the arrivals ask
    for no more than the present number, but hold it as far as full replicas were seen to need it, while the step-time
    model knows nothing: KV usage falls faster than load, and to prefill-bound load it is blind.
    """
    queues = known(replica.signals.queue for replica in fleet.serving)
    if not queues:
        return None
    waiting, allowed, arrivals = sum(queues), config.targets.waiting, _arrivals(fleet)
    held = (
        waiting
        if fleet.capacity is None
        else min(waiting, total(one.signals.queue_least for one in fleet.serving) or 0)
    )
    replicas = min(fleet.current, ceil(held / allowed * (1 + TOLERANCE) - _EPSILON))
    words = f"{waiting:.0f} waiting on {counted(len(queues))} (target {allowed:.0f} each)"
    if arrivals is not None and fleet.service_rate and fleet.capacity is None:
        replicas = max(replicas, min(fleet.current, ceil(arrivals / (SERVICE_TARGET * fleet.service_rate) - _EPSILON)))
        words += f", {arrivals:.1f}/s arriving (a full replica served {fleet.service_rate:.1f}/s)"
    if waiting > allowed * len(queues) * (1 + TOLERANCE) and _stands(config, fleet, waiting=waiting):
        replicas = max(replicas, _flow(config, fleet, waiting=waiting, arrivals=arrivals))
    return Term("backlog", replicas, words)


def work(config: ScalingConfig, fleet: Fleet) -> Term | None:
    """The time that arriving requests take, and the places that they will hold, by the step-time model.

    Looks at what comes, not at what is there: it asks for the replicas of a new load before cache and queue show it,
    and keeps those without which the load would not be carried, however empty cache and queue are now. A rate of few
    requests is not known well, so it moves nothing until it is off by more than its own scatter.
    """
    capacity = fleet.capacity
    if capacity is None:
        return None
    most, margin = max(fleet.current, config.max_replicas) + 1, 1 + max(TOLERANCE, capacity.demand.scatter)
    if capacity.carried(fleet.current, 1 / margin):
        replicas = min(fleet.current, capacity.needed(margin, most=most))
    else:
        # a few seconds of arrivals are known right after a step: one replica too many costs less than a second decision
        replicas = capacity.needed(1 + capacity.demand.scatter, most=most)
    demand = capacity.demand
    words = (
        f"{demand.arrivals:.1f} requests/s of {demand.prompt:.0f} + {demand.output:.0f} tokens take "
        f"{_percent(capacity.work)} of a replica's time (target {_percent(capacity.utilization(replicas))} each)"
    )
    return Term("work", replicas, words)


TERMS: tuple[Callable[[ScalingConfig, Fleet], Term | None], ...] = (memory, work, backlog)
"""All sides."""


def fitting(exact: float, current: int) -> int:
    """Whole replicas for an exact need: more only beyond the tolerance, fewer only if they carry it with that margin.

    With a need of `exact` targets' worth of load, m replicas carry exact/m of a target each; fewer replicas than now
    are proposed only where the whole load, spread over them, stays below the target by the tolerance.
    """
    if exact > current * (1 + TOLERANCE):
        return ceil(exact - _EPSILON)
    return min(current, ceil(exact * (1 + TOLERANCE) - _EPSILON))


def full_service_rate(config: ScalingConfig, fleet: Fleet) -> float | None:
    """Requests per second that a replica serves whose queue stood above its target: the mean over such replicas."""
    return _service_rate(
        one.signals for one in fleet.serving if (one.signals.queue_least or 0) > config.targets.waiting
    )


def _service_rate(full: Iterable[PodSignals]) -> float | None:
    rates = [rate for rate in known(_served(signals) for signals in full) if rate * FLOW_WINDOW >= MIN_FINISHED]
    return sum(rates) / len(rates) if rates else None


def _stands(config: ScalingConfig, fleet: Fleet, *, waiting: float) -> bool:
    """Whether a queue is more than the randomness of arrivals: it has stood for a while, or is long."""
    least = total(replica.signals.queue_least for replica in fleet.serving)
    served = total(_served(replica.signals) for replica in fleet.serving)
    stood = least is not None and least > config.targets.waiting * len(fleet.serving)
    return stood or served is None or waiting > QUEUE_SHARE * config.targets.ttft * served


def _served(signals: PodSignals) -> float | None:
    """Requests leave the queue by being admitted: as many as end, and those by which the batch grows."""
    return None if signals.finish_rate is None else signals.finish_rate + max(0.0, signals.running_growth or 0.0)


def _arrivals(fleet: Fleet) -> float | None:
    """Requests per second that come in: those served and those by which the queues grow."""
    if fleet.capacity:
        return fleet.capacity.demand.arrivals
    served = total(_served(replica.signals) for replica in fleet.serving)
    growth = total(replica.signals.queue_growth for replica in fleet.serving)
    return None if served is None or growth is None else max(0.0, served + growth)


def _flow(config: ScalingConfig, fleet: Fleet, *, waiting: float, arrivals: float | None) -> int:
    """Replicas that keep up with arrivals and drain the excess; without rates those that hold the queue, in bounds."""
    rate = fleet.capacity.full_rate if fleet.capacity else full_service_rate(config, fleet)
    if rate is None:  # too early to know: a queue that has just come does not show what a full replica can do
        now = _service_rate(one.signals for one in fleet.serving if (one.signals.queue or 0) > config.targets.waiting)
        rate = max(known((now, fleet.service_rate)), default=None)
    if rate is None or arrivals is None:
        return min(UNRATED_STEP * len(fleet.serving), ceil(waiting / config.targets.waiting - _EPSILON))
    drain = (
        0.0
        if fleet.capacity and _is_seen_to(config, fleet, waiting)
        else _drain(config, fleet, waiting=waiting, arrivals=arrivals)
    )
    return ceil((arrivals + drain) / rate - _EPSILON)


def _drain(config: ScalingConfig, fleet: Fleet, *, waiting: float, arrivals: float) -> float:
    """Requests per second by which a queue has to shrink, to be gone in time."""
    excess = waiting - config.targets.waiting * len(fleet.serving)
    return min(excess / config.targets.drain_seconds, DRAIN_SHARE * arrivals)


def _is_seen_to(config: ScalingConfig, fleet: Fleet, waiting: float) -> bool:
    """Whether a queue needs no more than what keeps up with the arrivals: replicas start, or it shrinks fast enough."""
    if fleet.current > len(fleet.serving):
        return True
    growth = total(replica.signals.queue_growth for replica in fleet.serving)
    return growth is not None and waiting + growth * config.targets.drain_seconds <= 0


def _is_passing(fleet: Fleet) -> bool:
    """Whether full caches are of a load that was: what arrives is carried, and replicas start or requests become fewer.

    How soon a queue has to be gone is not for the caches to say, but for the backlog.
    """
    if fleet.capacity is None or fleet.kv_cache_tokens is None or not fleet.capacity.carried(fleet.current):
        return False
    changes = [(replica.signals.running_growth, replica.signals.queue_growth) for replica in fleet.serving]
    growth = sum(one or 0.0 for pair in changes for one in pair)
    return fleet.current > len(fleet.serving) or growth < 0


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"


def counted(count: int) -> str:
    """The number with its noun."""
    return "1 replica" if count == 1 else f"{count} replicas"
