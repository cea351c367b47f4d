"""llm-d's Workload Variant Autoscaler (WVA), both generations: what it looks at, and how its number gets done.

Source: llm-d/llm-d-workload-variant-autoscaler, 0.5 to 0.9 (b08b1c7; the fork deanlorenz 2976e4e for 0.9),
internal/collector (the largest KV usage and queue of each pod over a minute), docs and chart. WVA writes no
replicas: it publishes `wva_desired_replicas`, Prometheus scrapes that, and an HPA reads it as an External metric
with averageValue 1. So its number is up to a scrape old when the HPA looks, and the HPA's tolerance of 10 % swallows
a step of one from ten replicas on: 11 / 10 is within it. The chart's HPA would also wait for 240 s in both
directions; KServe's, which has no `behavior`, is what is taken here, in WVA's favour. There is one variant, so its
choice among GPU types has no say.
"""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.hpa import TIMING, ExternalMetric, Hpa
from llmfleet.sim.peers.pages import kv_usage, waiting
from llmfleet.sim.rule import PodView, View

PEAK_WINDOW = 60.0
"""Seconds: max_over_time(...[1m])."""
KV_THRESHOLD, QUEUE_THRESHOLD = 0.8, 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """The peaks of one pod."""

    pod: PodView
    kv: float
    queue: float


class Peaks:
    """The largest KV usage and queue of each pod in the last minute."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._seen: dict[str, deque[tuple[float, float, float]]] = {}

    def look(self, view: View) -> list[Load]:
        """The loads of ready pods with metrics; to be asked at every look of the HPA."""
        self._seen = {pod.name: self._seen.get(pod.name, deque()) for pod in view.pods}
        loads = []
        for pod in view.pods:
            kv, queue, pages = kv_usage(pod), waiting(pod), self._seen[pod.name]
            if kv is None or queue is None or not pod.ready:
                continue
            pages.append((view.now, kv, queue))
            while pages[0][0] <= view.now - PEAK_WINDOW:
                pages.popleft()
            loads.append(Load(pod, max(page[1] for page in pages), max(page[2] for page in pages)))
        return loads


class Wva(ABC):
    """The loop and the HPA behind it; a generation says what it wants."""

    timing = TIMING

    def __init__(self, bounds: Bounds, *, interval: float) -> None:
        """`interval` is the loop's, in seconds."""
        self._bounds, self._interval = bounds, interval
        self._peaks = Peaks()
        self._desired: int | None = None
        self._published: int | None = None
        self._next = 0.0
        self._hpa = Hpa(bounds, [ExternalMetric(lambda _: self._published, 1.0)])

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        replicas = self._hpa.decide(view)
        loads = self._peaks.look(view)
        if view.now >= self._next:
            self._next = view.now + self._interval
            self._desired = self._bounds.keep(self._wanted(view, loads))
        self._published = self._desired  # scraped before the HPA looks again
        return replicas

    @abstractmethod
    def _wanted(self, view: View, loads: list[Load]) -> int:
        """The number that is published from now on."""
