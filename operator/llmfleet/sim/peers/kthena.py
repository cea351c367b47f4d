"""Kthena's autoscaler: the sum of the waiting requests, shared out at so many each.

Source: volcano-sh/kthena, pkg/autoscaler/ of August 2026: algorithm/recommendation.go and revision.go (63f3b11),
autoscaler/scaler.go and status.go, webhook/autoscalingpolicy_mutator.go; documentation's example of 10 for
num_requests_waiting; a round every 15 s, tolerance 10 %. It asks the ready pods itself, and skips the round while
one of the selected pods is being deleted.

The pods' sum enters the formula as if one pod had it, so the tolerance is around one replica's target and not around
all: 4 pods with 1.01 of four targets become 5, and with 1.05 of one target stay 4. Starting pods count as zero on
the way up; where that turns the direction, or the answer, nothing happens. Down at once to the largest answer of
300 s, up by four or twice in 60 s; panic is off. The window begins empty, so the first low answer is done at once.
"""

from math import ceil

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.hpa import within
from llmfleet.sim.peers.pages import values, waiting
from llmfleet.sim.rule import Timing, View

PERIOD, DOWN_WINDOW, UP_PERIOD = 15.0, 300.0, 60.0
"""Seconds."""
WAITING, TOLERANCE, UP_PODS, UP_TIMES = 10.0, 0.1, 4, 2


def recommended(total: float, *, starting: int, current: int, target: float) -> int:
    """What the formula says for the sum over ready pods."""
    ratio = total / target
    if not starting or ratio < 1:
        return current if within(ratio, TOLERANCE) else ceil(ratio)
    shared = ratio / (1 + starting)
    wanted = ceil(ratio)
    turned = shared < 1 or wanted < current
    return current if within(shared, TOLERANCE) or turned else wanted


class Kthena:
    """A policy with a homogeneous target."""

    timing = Timing(period=PERIOD, scrape=PERIOD)

    def __init__(self, bounds: Bounds, target: float = WAITING) -> None:
        """`target` is targetValue of num_requests_waiting."""
        self._bounds, self._target = bounds, target
        self._asked: list[tuple[float, int]] = []
        self._held: list[tuple[float, int]] = []
        self._last: int | None = None

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        queues = values(waiting, (pod for pod in view.pods if pod.ready))
        if not queues or any(pod.terminating for pod in view.pods):
            return view.replicas
        now, current = view.now, view.replicas
        starting = sum(not pod.ready for pod in view.pods)
        asked = recommended(sum(queues), starting=starting, current=current, target=self._target)
        asked = self._bounds.keep(asked)
        self._asked = [(at, n) for at, n in self._asked if at >= now - DOWN_WINDOW]
        wanted = self._fewer(current, asked) if asked < current else self._more(now, current, asked)
        self._asked.append((now, asked))
        if self._last is not None:
            self._held.append((now, self._last))
        self._last = wanted
        return wanted

    def _fewer(self, current: int, asked: int) -> int:
        return min(current, max([asked, *(n for _, n in self._asked)]))

    def _more(self, now: float, current: int, asked: int) -> int:
        """At most so many more than the least that was held within the period, up to the moment it was replaced."""
        self._held = [(until, n) for until, n in self._held if until >= now - UP_PERIOD]
        least = min([current, *(n for _, n in self._held)])
        return max(current, min(asked, max(least + UP_PODS, least * UP_TIMES)))
