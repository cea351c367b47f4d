"""How many replicas the load asks for, seen from several sides; the policy takes the largest answer. Pure.

Each term is a small function (config, fleet) -> Term, or None where it knows nothing. Neither term is enough alone, in
opposite ways: with long prompts the queue grows without bound while KV usage stays at a quarter; with long answers KV
usage climbs for minutes while the queue stays empty (both measured on an H200).

A term may be short of data of some replicas. Those count as no load: what is known may ask for more replicas, and
taking replicas away is not for the terms to allow but for the policy, which then refuses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet, known, total
from llmfleet.scaling.signals import FLOW_WINDOW

TOLERANCE = 0.10
"""Share by which a target may be missed without a change, as in the HorizontalPodAutoscaler."""
MIN_FINISHED = 3.0
"""Requests that must have been served in the window before a service rate means anything."""
UNRATED_STEP = 4
"""Most times the serving replicas that a queue may ask for while no service rate is known."""
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
    """KV-cache usage of all replicas together, over the target for one. Preemptions going on ask for one more."""
    serving = [replica.signals for replica in fleet.serving]
    usages = known(signals.kv for signals in serving)
    if not usages:
        return None
    demand, target = sum(usages), config.targets.kv_usage
    replicas = fitting(demand / target, fleet.current)
    words = f"KV cache {_percent(demand / len(usages))} full on {counted(len(usages))} (target {_percent(target)})"
    if any(signals.preempting for signals in serving):
        replicas = max(replicas, len(usages) + 1)
        words += ", requests are preempted"
    return Term("memory", replicas, words)


def backlog(config: ScalingConfig, fleet: Fleet) -> Term | None:
    """The requests that wait, and how fast they become more.

    Up to `targets.waiting` for each replica the queue asks for the replicas that hold it. Beyond, the number comes from
    flows: arrivals over service says how many replicas would keep up, and the excess should be gone within the drain
    time. A queue that does not shrink asks for at least one more; one that drains in time for none.
    """
    queues = known(replica.signals.queue for replica in fleet.serving)
    if not queues:
        return None
    waiting, allowed, serving = sum(queues), config.targets.waiting, len(queues)
    replicas = min(fleet.current, ceil(waiting / allowed * (1 + TOLERANCE) - _EPSILON))
    words = f"{waiting:.0f} waiting on {counted(serving)} (target {allowed:.0f} each)"
    if waiting > allowed * serving * (1 + TOLERANCE):
        replicas = max(replicas, _flow(config, fleet, waiting=waiting, serving=serving))
    return Term("backlog", replicas, words)


TERMS: tuple[Callable[[ScalingConfig, Fleet], Term | None], ...] = (memory, backlog)
"""All sides. Another one (work: step-time model and token rates) joins by being added here."""


def fitting(exact: float, current: int) -> int:
    """Whole replicas for an exact need: more only beyond the tolerance, fewer only if they carry it with that margin.

    With a need of `exact` targets' worth of load, m replicas carry exact/m of a target each; fewer replicas than now
    are proposed only where the whole load, spread over them, stays below the target by the tolerance.
    """
    if exact > current * (1 + TOLERANCE):
        return ceil(exact - _EPSILON)
    return min(current, ceil(exact * (1 + TOLERANCE) - _EPSILON))


def _flow(config: ScalingConfig, fleet: Fleet, *, waiting: float, serving: int) -> int:
    """Replicas that keep up with arrivals and drain the excess; without rates those that hold the queue, in bounds."""
    signals = [replica.signals for replica in fleet.serving]
    finished = total(s.finish_rate for s in signals)
    growth = total(s.queue_growth for s in signals)
    # Requests leave the queue by being admitted: those that end, and those by which the batch grows.
    served = None if finished is None else finished + max(0.0, total(s.running_growth for s in signals) or 0.0)
    if served is None or growth is None or served * FLOW_WINDOW < MIN_FINISHED:
        return min(UNRATED_STEP * serving, ceil(waiting / config.targets.waiting - _EPSILON))
    excess = waiting - config.targets.waiting * serving
    load = 1 + growth / served + excess / (config.targets.drain_seconds * served)
    return ceil(serving * load - _EPSILON)


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"


def counted(count: int) -> str:
    """The number with its noun."""
    return "1 replica" if count == 1 else f"{count} replicas"
