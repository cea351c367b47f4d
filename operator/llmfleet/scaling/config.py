"""What the policy aims at: an object's spec.scaling turned into numbers. Pure."""

from dataclasses import dataclass

from llmfleet.api.objectives import Targets
from llmfleet.api.v1alpha1 import ScalingSpec


@dataclass(frozen=True, slots=True)
class ScalingConfig:
    """Bounds, targets and patience of one object."""

    min_replicas: int
    max_replicas: int
    targets: Targets
    scale_down_delay: float
    """Seconds for which fewer replicas must have been enough."""

    @classmethod
    def from_spec(cls, spec: ScalingSpec) -> "ScalingConfig":
        """The object's own bounds and delay, and the targets of its objective."""
        return cls(
            min_replicas=spec.min_replicas,
            max_replicas=spec.max_replicas,
            targets=Targets.of(spec),
            scale_down_delay=spec.scale_down_delay_seconds,
        )

    def bounded(self, replicas: int) -> int:
        """Within minReplicas and maxReplicas."""
        return max(self.min_replicas, min(self.max_replicas, replicas))
