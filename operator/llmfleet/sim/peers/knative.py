"""Knative's pod autoscaler (KPA) on concurrency, as KServe's serverless mode uses it.

Source: knative.dev/serving v0.51.0, pkg/autoscaler/scaling/autoscaler.go (Scale), scaling/multiscaler.go (a tick every
2 s), aggregation/bucketing.go, config/config.go (target 100 requests at 70 %, stable window 60 s, panic window 10 % of
it, panic at 200 %, at most 1000 times as many up and half down in one step, no scale-down delay).

stable, panic = mean concurrency over 60 and 6 s, over target
panic begins where the panic number is twice the ready pods or more, and ends a stable window after that was last so;
while it lasts the number only grows. A fleet of more than one pod begins in panic, since it knows no history.

Its sidecars average concurrency over a second and its activator holds what no pod takes: here the number of requests
under way is sampled once a tick. Only ready pods count as what is there, pending ones do not, which changes nothing
but the two limits.
"""

from math import ceil

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.windows import Window
from llmfleet.sim.rule import Timing, View

TICK, STABLE, PANIC = 2.0, 60.0, 6.0
"""Seconds."""
CONCURRENCY, UTILIZATION = 100.0, 0.7
PANIC_THRESHOLD, UP_RATE, DOWN_RATE = 2.0, 1000.0, 2.0


class Knative:
    """One revision's autoscaler."""

    timing = Timing(period=TICK, scrape=1.0)

    def __init__(self, bounds: Bounds, concurrency: float = CONCURRENCY) -> None:
        """`concurrency` is the target before the utilization of 70 %: the annotation autoscaling.knative.dev/target."""
        self._bounds, self._target = bounds, concurrency * UTILIZATION
        self._stable, self._panic = Window(STABLE), Window(PANIC)
        self._panicking_since: float | None = None
        self._most = 0
        self._began = False

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        found = sum(pod.ready for pod in view.pods)
        if not self._began:
            self._began, self._most = True, found
            self._panicking_since = view.now if found > 1 else None
        ready = max(1, found)
        self._stable.add(view.now, view.active)
        self._panic.add(view.now, view.active)
        stable, panic = ceil(self._stable.mean / self._target), ceil(self._panic.mean / self._target)
        self._panicking(view.now, over=panic / ready >= PANIC_THRESHOLD)
        least, most = ready // DOWN_RATE, ceil(UP_RATE * ready)
        wanted = int(min(max(stable, least), most))
        if self._panicking_since is not None:
            self._most = max(self._most, wanted, int(min(max(panic, least), most)))
            wanted = self._most
        return self._bounds.keep(wanted)

    def _panicking(self, now: float, *, over: bool) -> None:
        if over:
            self._panicking_since = now
        elif self._panicking_since is not None and self._panicking_since + STABLE < now:
            self._panicking_since, self._most = None, 0
