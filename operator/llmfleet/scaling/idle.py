"""Between one replica and none: when the last one goes, and when the first one comes. Pure.

The policy asks here before anything else where `minReplicas` is 0. What binds:

1. At zero nothing is measured: the requests that wait in an activator are the only sign of load, and one is enough.
2. The last replica goes only after nobody has asked for `idleToZeroSeconds`, all of which this memory has seen, by
   fresh numbers of every serving replica: nothing runs, nothing waits, no counter moves. What is unknown is not idle.
3. It goes only while an activator answers for the object, which then holds what comes until there is a replica again.

The memory is one time, so it begins anew with each leader: nobody goes to zero on what another process has seen.
"""

from dataclasses import dataclass, replace

from llmfleet.api.conditions import Reason
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet, known
from llmfleet.scaling.signals import PodSignals, Quality
from llmfleet.scaling.state import State


@dataclass(frozen=True, slots=True)
class Verdict:
    """One replica or none, and why."""

    replicas: int
    reason: Reason
    cause: str
    """What stands in the history: demand, idle, or activator."""
    sentence: str


def noted(fleet: Fleet, state: State, now: float) -> State:
    """Take note of whether nobody asks, and since when."""
    if _is_idle(fleet) == (state.idle_since is not None):
        return state
    return replace(state, idle_since=now if state.idle_since is None else None)


def verdict(config: ScalingConfig, fleet: Fleet, state: State, now: float) -> Verdict | None:
    """What to do at zero, and with a last replica that is idle; None where the load decides."""
    if config.idle_to_zero is None:
        return None
    if fleet.current == 0:
        return _asleep(fleet)
    idle_for = 0.0 if state.idle_since is None else now - state.idle_since
    if fleet.current > 1 or idle_for < config.idle_to_zero or fleet.demanded:
        return None
    words = f"nobody has asked for {config.idle_to_zero:.0f} s (idleToZeroSeconds)"
    if not fleet.wakeable:
        sentence = f"1 replica; {words}, but no activator answers that would hold requests and wake it: it stays"
        return Verdict(1, Reason.NO_ACTIVATOR, "activator", sentence)
    return Verdict(0, Reason.SCALING, "idle", f"1 -> 0 replicas; {words}")


def _asleep(fleet: Fleet) -> Verdict:
    if fleet.demanded:
        return Verdict(1, Reason.SCALING, "demand", "0 -> 1 replica; requests wait in the activator")
    if fleet.wakeable:
        return Verdict(0, Reason.SCALING, "idle", "0 replicas; a request wakes one")
    if any(not replica.terminating for replica in fleet.replicas):
        sentence = "0 -> 1 replica; no activator answers that would hold requests and wake it: the last one stays"
        return Verdict(1, Reason.NO_ACTIVATOR, "activator", sentence)
    sentence = "0 replicas, and no activator answers that would wake one: write replicas through /scale to do so"
    return Verdict(0, Reason.NO_ACTIVATOR, "activator", sentence)


def _is_idle(fleet: Fleet) -> bool:
    return bool(fleet.serving) and not fleet.demanded and all(_is_quiet(one.signals) for one in fleet.serving)


def _is_quiet(signals: PodSignals) -> bool:
    """Whether the pod is known to do nothing: a request between two looks moves the counter of those that ended."""
    if signals.quality is not Quality.FRESH or signals.running != 0 or signals.waiting != 0:
        return False
    if signals.finish_rate is not None:
        return signals.finish_rate == 0
    rates = known((signals.prompt_rate, signals.generation_rate))
    return bool(rates) and not any(rates)
