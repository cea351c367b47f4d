"""Means over the last so many seconds, as systems keep them that sample once a tick."""

from collections import deque


class Window:
    """The samples of the last `seconds`; a new one pushes out what has become too old."""

    def __init__(self, seconds: float) -> None:
        """Empty."""
        self._seconds = seconds
        self._samples: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def add(self, now: float, value: float) -> None:
        """Take a sample."""
        while self._samples and self._samples[0][0] <= now - self._seconds:
            self._sum -= self._samples.popleft()[1]
        self._samples.append((now, value))
        self._sum = self._sum + value if len(self._samples) > 1 else value

    @property
    def mean(self) -> float:
        """The mean of what is in it."""
        return self._sum / len(self._samples)

    def clear(self) -> None:
        """Forget everything."""
        self._samples.clear()
        self._sum = 0.0
