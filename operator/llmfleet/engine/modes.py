"""What is known against a way of scaling: the settings rule it out, or Kubernetes takes less than the spec says."""

from llmfleet.api.conditions import Reason
from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment, ScalingMode
from llmfleet.engine.problem import Problem, warning

LONGEST_DELAY = 3600
"""Seconds for which a HorizontalPodAutoscaler looks back at most."""


def mode_is_available(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """KEDA needs to be told where Prometheus is."""
    scaling = deployment.spec.scaling
    if scaling is None or scaling.mode is not ScalingMode.KEDA or settings.prometheus.address:
        return None
    return Problem(
        Reason.SCALING_MODE_UNAVAILABLE,
        "spec.scaling.mode KEDA needs prometheus.address in the operator's settings, the URL at which KEDA asks "
        "Prometheus: the administrator has to set it (settings.prometheus.address in the chart's values); or set "
        "spec.scaling.mode to HPA or Builtin.",
    )


def delay_is_kept(deployment: LLMDeployment, _: Settings) -> Problem | None:
    """Another autoscaler waits as long as the spec says."""
    scaling = deployment.spec.scaling
    if scaling is None or scaling.mode is ScalingMode.BUILTIN or scaling.scale_down_delay_seconds <= LONGEST_DELAY:
        return None
    return warning(
        f"spec.scaling.scaleDownDelaySeconds is {scaling.scale_down_delay_seconds}, and a HorizontalPodAutoscaler "
        f"looks back {LONGEST_DELAY} s at most, which is what it does: set {LONGEST_DELAY} or less, or "
        "spec.scaling.mode to Builtin."
    )
