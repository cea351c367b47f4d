"""The highest load that one replica bears with the SLO held: what a GPU is worth on a workload.

lengths -> Poisson arrivals at some rate -> a fleet of one -> share of requests in SLO -> bisection. The answer is the
capacity by which `optimum.py` works out how many replicas a demand needs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from llmfleet.sim.fleet import simulate
from llmfleet.sim.outcome import Slo
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.static import Static
from llmfleet.sim.spec import FleetSpec
from llmfleet.sim.trace_made import Draw, poisson

WARM_UP = 300.0
"""Seconds at the beginning that do not count: the replica is empty then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How carefully to look."""

    share: float = 0.99
    """Of the requests that must be in SLO, 0 to 1."""
    seconds: float = 3600.0
    """Simulated time of one try, after the warm-up."""
    precision: float = 0.01
    """Of the answer, as a share of it."""
    seed: int = 1


def highest_load(fleet: FleetSpec, lengths: Draw, slo: Slo, *, search: Search | None = None) -> float:
    """Requests/s at which the share of requests in SLO is just held by one replica; 0 if it never is.

    Every try plays the same draws, only closer together, so that the share falls steadily with the rate.

    Args:
        fleet: only what a replica is counts.
        lengths: of prompt and answer.
        slo: what a request must keep.
        search: how carefully to look.
    """
    how = search or Search()
    alone = replace(fleet, min_replicas=1, max_replicas=1, initial=1)

    def held(rate: float) -> bool:
        trace = poisson([(0.0, rate)], span=WARM_UP + how.seconds, lengths=lengths, seed=how.seed)
        outcome = simulate(alone, trace, Static(Bounds(1, 1), 1), seed=how.seed)
        return outcome.attainment(slo, start=WARM_UP) >= how.share

    return bisect(held, start=1.0, precision=how.precision)


def bisect(held: Callable[[float], bool], *, start: float, precision: float, least: float = 1e-3) -> float:
    """The highest value for which `held` is true, if it is true below some value and false above; 0 below `least`."""
    low = high = start
    if held(start):
        while held(high := 2 * low):
            low = high
    else:
        while not held(low := high / 2):
            high = low
            if high < least:
                return 0.0
    while high - low > precision * high:
        middle = (low + high) / 2
        low, high = (middle, high) if held(middle) else (low, middle)
    return low
