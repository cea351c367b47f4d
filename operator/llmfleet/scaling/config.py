"""What the policy aims at: an object's spec.scaling turned into numbers. Pure."""

from dataclasses import dataclass

from llmfleet.api.objectives import Targets
from llmfleet.api.v1alpha1 import ScalingSpec
from llmfleet.engine.speed import NOTHING, Start


@dataclass(frozen=True, slots=True)
class ScalingConfig:
    """Bounds, targets and patience of one object."""

    min_replicas: int
    max_replicas: int
    targets: Targets
    scale_down_delay: float
    """Seconds for which fewer replicas must have been enough."""
    idle_to_zero: float | None = None
    """Seconds without a request after which the last replica goes; None: it never does. Then `min_replicas`, which is
    what the load is bounded by, is 1, and `idle` decides between that and none."""

    start: Start = NOTHING
    """How fast a replica should be, before one was seen."""

    @classmethod
    def from_spec(cls, spec: ScalingSpec, start: Start | None = None) -> "ScalingConfig":
        """The object's own bounds and delay, and the targets of its objective."""
        return cls(
            min_replicas=max(1, spec.min_replicas),
            max_replicas=spec.max_replicas,
            targets=Targets.of(spec),
            scale_down_delay=spec.scale_down_delay_seconds,
            start=start or NOTHING,
            idle_to_zero=spec.idle_to_zero_seconds if spec.min_replicas == 0 else None,
        )

    def bounded(self, replicas: int) -> int:
        """Within minReplicas and maxReplicas."""
        return max(self.min_replicas, min(self.max_replicas, replicas))
