"""Prometheus' `sum(rate(counter[1m]))` over a fleet, from the pages that a rule saw."""

from collections import deque

from llmfleet.sim.peers.pages import Gauge
from llmfleet.sim.rule import View

WINDOW = 60.0
"""Seconds."""


class Rate:
    """Increase a second of one counter, for each pod between the first and the last page of the last minute."""

    def __init__(self, counter: Gauge) -> None:
        """No page was seen yet."""
        self._counter = counter
        self._seen: dict[str, deque[tuple[float, float]]] = {}

    def total(self, view: View) -> float:
        """The sum over all pods with two pages; to be asked once for each view."""
        names = {pod.name for pod in view.pods}
        self._seen = {name: pages for name, pages in self._seen.items() if name in names}
        for pod in view.pods:
            value = self._counter(pod)
            if value is None or pod.page_at is None:
                continue
            pages = self._seen.setdefault(pod.name, deque())
            if not pages or pages[-1][0] < pod.page_at:
                pages.append((pod.page_at, value))
            while pages[0][0] < view.now - WINDOW and len(pages) > 1:
                pages.popleft()
        return sum(_slope(pages) for pages in self._seen.values())


def _slope(pages: deque[tuple[float, float]]) -> float:
    (begin, first), (end, last) = pages[0], pages[-1]
    return max(0.0, last - first) / (end - begin) if end > begin else 0.0
