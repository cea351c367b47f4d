"""The best value of an autoscaler's main knob, found on a slice of the trace. Pure."""

from collections.abc import Mapping, Sequence

from tests.bench.autoscalers.results import Result

ENOUGH = 0.99
"""Share of the requests in SLO."""


def following(grid: Sequence[float], tried: Mapping[float, Result]) -> float | None:
    """The value to try next; None when the search is over.

    A grid goes from eager to thrifty, so the share in SLO and the cost both fall along it: the thriftiest value that
    has enough in SLO is found by halving.
    """
    low, high = -1, len(grid)
    while high - low > 1:
        middle = (low + high) // 2
        if grid[middle] not in tried:
            return grid[middle]
        if tried[grid[middle]].in_slo >= ENOUGH:
            low = middle
        else:
            high = middle
    return None


def best(tried: Mapping[float, Result]) -> float:
    """The knob of the lowest cost with enough in SLO; where none has, the one with the most."""
    good = {knob: result for knob, result in tried.items() if result.in_slo >= ENOUGH}
    if good:
        return min(good, key=lambda knob: (good[knob].gpu_hours, -good[knob].in_slo))
    return max(tried, key=lambda knob: (tried[knob].in_slo, -tried[knob].gpu_hours))
