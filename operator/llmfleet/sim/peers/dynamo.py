"""NVIDIA Dynamo's planner, load part with static thresholds, for workers that prefill and decode (aggregated).

Source: ai-dynamo/dynamo 936d819, components/src/dynamo/planner/core/load_scaling.py (_advance_load_agg,
_agg_easy_decision) and config/defaults.py: optimization_target throughput, load_adjustment_interval_seconds 5,
min_endpoint 1. Of each engine, utilization is (KV tokens scheduled + prompt tokens queued) / KV tokens:

up 1     when any engine is above 1.0
down 1   when all are below 0.6, and there are more than one
nothing  while the number of ready workers is not the one asked for, or one of them reports nothing

The engines' own events are what it sees (its patched scheduler), not their metrics: they are as good as fresh. The
part that predicts throughput needs profiles of the engine, and is off here.
"""

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.rule import PodView, Timing, View

INTERVAL = 5.0
"""Seconds."""
UP, DOWN = 1.0, 0.6


class Dynamo:
    """The throughput target."""

    timing = Timing(period=INTERVAL, scrape=INTERVAL)

    def __init__(self, bounds: Bounds, up: float = UP) -> None:
        """`up` is the utilization above which one is added; 0.6 of it is where one is taken, as shipped."""
        self._bounds, self._up, self._down = bounds, up, up * DOWN / UP

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        workers = [pod for pod in view.pods if pod.ready]
        known = [use for pod in workers if (use := utilization(pod)) is not None]
        if len(workers) != view.replicas or len(known) < len(workers) or not known:
            return view.replicas
        if max(known) > self._up:
            return self._bounds.keep(view.replicas + 1)
        fewer = view.replicas > 1 and max(known) < self._down
        return self._bounds.keep(view.replicas - 1 if fewer else view.replicas)


def utilization(pod: PodView) -> float | None:
    """Tokens that a worker holds or has queued, over those that it can hold; None where that is unknown."""
    capacity = pod.page.kv_cache_tokens if pod.page else None
    return (pod.context_tokens + pod.waiting_tokens) / capacity if capacity else None
