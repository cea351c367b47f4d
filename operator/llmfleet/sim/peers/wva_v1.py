"""WVA's first analyser, the default up to 0.8: one replica more or less by what is spare.

Source: llm-d-workload-variant-autoscaler b08b1c7, internal/saturation/analyzer.go (a loop of 60 s), thresholds of
its ConfigMap wva-saturation-scaling-config. Over the pods that are not saturated (KV usage below 0.80 and queue
below 5):

up 1     when the mean of 0.80 - KV usage is below 0.10, or the mean of 5 - queue below 3; also when all are saturated
down 1   when two or more are not, and with their load on one pod less both means would still not be below that
nothing  while a replica starts, or while the number that it published last is not reached

Without metrics the number before stays.
"""

from statistics import fmean

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.wva import KV_THRESHOLD, QUEUE_THRESHOLD, Load, Wva
from llmfleet.sim.rule import View

INTERVAL = 60.0
"""Seconds."""
KV_SPARE, QUEUE_SPARE = 0.1, 3.0


class WvaV1(Wva):
    """The saturation analyser on percentages."""

    def __init__(self, bounds: Bounds, kv_threshold: float = KV_THRESHOLD) -> None:
        """`kv_threshold` is kvCacheThreshold; what must stay spare is an eighth of it, as 0.10 is of 0.80."""
        super().__init__(bounds, interval=INTERVAL)
        self._kv_threshold = kv_threshold
        self._kv_spare = kv_threshold * KV_SPARE / KV_THRESHOLD

    def _wanted(self, view: View, loads: list[Load]) -> int:
        current = view.replicas
        if self._desired is not None and self._desired != current:
            return self._desired
        starting = current > sum(pod.ready for pod in view.pods)
        return current if starting or not loads else current + self.step(loads)

    def step(self, loads: list[Load]) -> int:
        """One more, one less, or none."""
        free = [load for load in loads if load.kv < self._kv_threshold and load.queue < QUEUE_THRESHOLD]
        if not free:
            return 1
        kv, queue = fmean(load.kv for load in free), fmean(load.queue for load in free)
        if not self._is_enough(kv, queue):
            return 1
        grown = len(free) / (len(free) - 1) if len(free) > 1 else None
        return -1 if grown and self._is_enough(kv * grown, queue * grown) else 0

    def _is_enough(self, kv: float, queue: float) -> bool:
        return self._kv_threshold - kv >= self._kv_spare and QUEUE_THRESHOLD - queue >= QUEUE_SPARE
