"""What the best possible autoscaler would pay for a demand, to stand beside what real ones paid. Pure.

trace -> demand, requests/s by the minute -> replicas needed, by the load that one bears -> GPU-seconds. It is a fluid
bound: requests are not looked at one by one, and a replica bears what `capacity_search.py` found that it does.
`Planned` and `Foresight` are the bounds as autoscalers, so that they can be run on the requests themselves.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmfleet.sim.rule import Timing, View

MINUTE = 60.0
"""Seconds: the interval of a demand."""
ORACLE = Timing(period=5.0, scrape=15.0)
"""Of those that know what comes: what they are shown does not matter."""


def demand(arrivals: Sequence[float], *, seconds: float, interval: float = MINUTE) -> list[float]:
    """Requests a second in each interval of a run that lasts `seconds`.

    Args:
        arrivals: seconds since the run began, in any order; those past the end are left out.
        seconds: how long the run is; a last interval that is cut short counts as a whole one.
        interval: seconds.
    """
    counts = [0] * max(1, math.ceil(seconds / interval))
    for at in arrivals:
        if 0 <= at < seconds:
            counts[int(at // interval)] += 1
    return [count / interval for count in counts]


def needed(demands: Sequence[float], capacity: float, *, least: int = 1) -> list[int]:
    """Replicas that bear each interval's demand, `capacity` requests/s each, and never fewer than `least`."""
    if capacity <= 0:
        raise ValueError(f"a replica that bears {capacity} requests/s cannot bear any demand")
    return [max(least, math.ceil(rate / capacity - 1e-9)) for rate in demands]


@dataclass(frozen=True, slots=True)
class Span:
    """One replica's life, in seconds since the run began: from its start, ready a start-up later, to its end."""

    begin: float
    end: float


def spans(need: Sequence[int], *, startup: float, interval: float = MINUTE) -> list[Span]:
    """The cheapest lives of replicas that have `need` ready in every interval.

    The n-th replica is there whenever n or more are needed. It is started `startup` before, and it stays through a gap
    that is no longer than a start-up, since a new start would cost as much. The first start of each lies before the
    need, so it may begin before the run does.
    """
    found: list[Span] = []
    for level in range(1, max(need, default=0) + 1):
        begin: float | None = None
        end = -math.inf
        for index in (index for index, count in enumerate(need) if count >= level):
            at = index * interval
            if begin is None or at - startup > end:
                found += [] if begin is None else [Span(begin, end)]
                begin = at - startup
            end = at + interval
        found += [] if begin is None else [Span(begin, end)]
    return found


def offline_optimum(need: Sequence[int], *, startup: float, interval: float = MINUTE) -> float:
    """GPU-seconds of the cheapest lives: for each level on-time + min(gap, start-up) for each gap + one start-up."""
    return sum(span.end - span.begin for span in spans(need, startup=startup, interval=interval))


@dataclass(frozen=True, slots=True)
class Reactive:
    """What an autoscaler that sees the demand of this minute, but none of the next, pays and misses."""

    paid: float
    """GPU-seconds."""
    short: float
    """Share of the intervals with fewer replicas ready than needed, 0 to 1."""


def reactive(
    demands: Sequence[float],
    capacity: float,
    *,
    delay: float,
    headroom: float = 1.15,
    hold: float = 600.0,
    least: int = 1,
    interval: float = MINUTE,
) -> Reactive:
    """The reactive bound: the demand is known exactly, and replicas come `delay` later.

    Args:
        demands: requests/s by interval.
        capacity: requests/s that one replica bears.
        delay: seconds from a demand to the replicas for it, scrape and start-up together.
        headroom: what is asked for is the demand times this.
        hold: seconds for which the highest answer is kept.
        least: replicas that are always there.
        interval: seconds; delay and hold are rounded to whole ones.
    """
    asked = _highest(needed([headroom * rate for rate in demands], capacity, least=least), round(hold / interval))
    late = round(delay / interval)
    ready = [min(asked[max(0, index - late) : index + 1]) for index in range(len(asked))]
    short = sum(have < want for have, want in zip(ready, needed(demands, capacity, least=least), strict=True))
    return Reactive(paid=sum(asked) * interval, short=short / len(asked) if asked else 0.0)


def _highest(values: Sequence[int], before: int) -> list[int]:
    """Of each value and the `before` ones that precede it, the highest."""
    return [max(values[max(0, index - before) : index + 1]) for index in range(len(values))]


class Foresight:
    """The one-step oracle: knows the demand until a replica started now would be ready, and nothing after that."""

    timing = ORACLE

    def __init__(self, need: Sequence[int], *, startup: float, interval: float = MINUTE) -> None:
        """Takes the need of the run; `startup` is the longest a start takes, in seconds."""
        self._need, self._interval = need, interval
        self._ahead = startup + ORACLE.period

    def decide(self, view: View) -> int:
        """The highest need between now and the time when a replica started at the next decision would be ready."""
        first = min(int(view.now // self._interval), len(self._need) - 1)
        last = int((view.now + self._ahead) // self._interval)
        return max(self._need[first : last + 1])


class Planned:
    """The offline optimum as an autoscaler: follows the cheapest lives, which only one who knows all could plan."""

    timing = ORACLE

    def __init__(self, need: Sequence[int], *, startup: float, interval: float = MINUTE) -> None:
        """Takes the need of the run; `startup` is the longest a start takes, in seconds."""
        lives = spans(need, startup=startup + ORACLE.period, interval=interval)
        changes = sorted([(span.begin, 1) for span in lives] + [(span.end, -1) for span in lives])
        self._times = [at for at, _ in changes]
        self._counts = list(itertools.accumulate(change for _, change in changes))
        self._next = 0

    def decide(self, view: View) -> int:
        """How many lives go on now; after the last need, what was needed last."""
        while self._next < len(self._times) and self._times[self._next] <= view.now:
            self._next += 1
        if self._next == len(self._times):
            return view.replicas
        return self._counts[self._next - 1] if self._next else view.replicas
