"""What every autoscaler is told first: the least and the most replicas."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """minReplicas and maxReplicas."""

    least: int
    most: int

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most or not self.most:
            raise ValueError(f"0 <= minReplicas <= maxReplicas and maxReplicas >= 1 must hold, got {self}")

    def keep(self, replicas: int) -> int:
        """The nearest allowed number."""
        return max(self.least, min(self.most, replicas))
