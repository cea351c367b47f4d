"""KubeAI: the mean of the requests under way over ten minutes, shared out at so many each.

Source: substratusai/kubeai v0.22.1, internal/modelautoscaler/autoscaler.go, internal/modelclient/scale.go,
internal/config/system.go (interval 10 s, timeWindow 10 min), api/k8s/v1/model_types.go (targetRequests 100,
scaleDownDelaySeconds 30). Running the real one gave 152, 302 and 452 s on the way up to four replicas, and 176, 326 and
476 s on the way down: tests/unit/sim/peers/test_kubeai.py does the same.

Its own proxies count the requests, those that are held for want of a replica too, so nothing is read from the engines
and no pod's readiness matters. The window starts full of zeros. Up at once and by any number; down when as many looks
before this one as the delay has intervals wanted fewer.
"""

from collections import deque
from math import ceil, fsum

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.rule import Timing, View

INTERVAL, WINDOW, DOWN_DELAY = 10.0, 600.0, 30.0
"""Seconds."""
TARGET_REQUESTS = 100.0
"""Its chart of models sets 32 for most that run on GPUs."""


class KubeAi:
    """One Model's autoscaler."""

    timing = Timing(period=INTERVAL, scrape=INTERVAL)

    def __init__(self, bounds: Bounds, target_requests: float = TARGET_REQUESTS) -> None:
        """`target_requests` is spec.targetRequests."""
        self._bounds, self._target = bounds, target_requests
        size = ceil(WINDOW / INTERVAL)
        self._window: deque[float] = deque([0.0] * size, maxlen=size)
        self._downs = 0

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        if not view.replicas and view.active:
            return max(1, self._bounds.least)  # the proxy asks for one as soon as a request is there
        self._window.append(view.active)
        wanted = self._bounds.keep(ceil(fsum(self._window) / len(self._window) / self._target))
        if wanted >= view.replicas:
            self._downs = 0
        elif self._downs < ceil(DOWN_DELAY / INTERVAL):
            self._downs += 1
            return view.replicas
        return wanted
