"""No autoscaler: one number, held.

Static peak is what is paid without scaling, static mean what the same money buys when it is spread evenly. Which number
that is depends on the trace, so it is the knob; without one, peak is maxReplicas and mean the middle of the bounds.
"""

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.rule import Timing, View


class Static:
    """Always the same number."""

    timing = Timing(period=60.0, scrape=60.0)

    def __init__(self, bounds: Bounds, replicas: float) -> None:
        """`replicas` is rounded to the nearest allowed number."""
        self._replicas = bounds.keep(round(replicas))

    def decide(self, view: View) -> int:  # noqa: ARG002 (whatever there is to see)
        """The number."""
        return self._replicas
