"""Means over the last so many seconds, as systems keep them that sample once a tick."""

from collections import deque
from statistics import fmean


class Window:
    """The samples of the last `seconds`; a new one pushes out what has become too old."""

    def __init__(self, seconds: float) -> None:
        """Empty."""
        self._seconds = seconds
        self._times: deque[float] = deque()
        self._values: deque[float] = deque()

    def add(self, now: float, value: float) -> None:
        """Take a sample."""
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
            self._values.popleft()
        self._times.append(now)
        self._values.append(value)

    @property
    def mean(self) -> float:
        """The mean of what is in it, summed anew: a sum that is carried along never comes back to 0."""
        return fmean(self._values)
