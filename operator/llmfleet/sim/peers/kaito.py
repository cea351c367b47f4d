"""KAITO's scaler: twice or half, of which an HPA lets one replica through in five minutes.

Source: kaito-project/keda-kaito-scaler a73abe6, pkg/scaledobject/builder.go and README. It asks the pods themselves
every 15 s. A KEDA formula with a target of type Value and 1 gives the HPA the ratio of what is wanted to what is
there:

2.0 when every replica is ready and the mean queue is above its up-threshold, 0.5 when it is below its
down-threshold, else 1.0; behavior: up 60 s of stabilization and one pod in 300 s, down 300 s and one pod in 300 s

It ships no threshold; those of its README's example are taken: 5 and 1. The second metric there, the 95th percentile
of the time in the queue, is left out: both must agree for either direction, so one alone is never slower. A look
that finds a pod without fresh metrics (45 s) is an error, and the HPA holds.
"""

from statistics import fmean

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.hpa import SYNC, ExternalMetric, Hpa
from llmfleet.sim.peers.hpa_pace import Behavior, Direction, Policy
from llmfleet.sim.peers.pages import Query, waiting
from llmfleet.sim.rule import Timing, View

UP, DOWN = 5.0, 1.0
FRESH = 45.0
"""Seconds."""
TIMING = Timing(period=SYNC, scrape=SYNC)
_ONE = (Policy("Pods", 1, 300),)


def ratio(up: float) -> Query:
    """The formula; the down-threshold is a fifth of the up-threshold, as shipped."""
    down = up * DOWN / UP

    def query(view: View) -> float | None:
        alive = [pod for pod in view.pods if not pod.terminating]
        ready = [pod for pod in alive if pod.ready]
        queues = [
            queue
            for pod in ready
            if pod.page_at is not None and view.now - pod.page_at <= FRESH and (queue := waiting(pod)) is not None
        ]
        if not queues or len(queues) < len(ready):
            return None
        mean = fmean(queues)
        if len(ready) == len(alive) and mean > up:
            return 2.0
        return 0.5 if mean < down else 1.0

    return query


class Kaito(Hpa):
    """The HPA of an InferenceSet."""

    def __init__(self, bounds: Bounds, up: float = UP) -> None:
        """`up` is scaledobject.kaito.sh/upthreshold of vllm:num_requests_waiting."""
        behavior = Behavior(up=Direction(60, _ONE), down=Direction(300, _ONE))
        kept = Bounds(max(1, bounds.least), bounds.most)
        super().__init__(kept, [ExternalMetric(ratio(up), 1.0, whole=True)], behavior=behavior, timing=TIMING)
