"""All children of an object, in the order in which they are applied."""

from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment, ScalingMode
from llmfleet.manifests import cache, hpa, network_policy, pace, pdb, scaled_object, service
from llmfleet.manifests import deployment as deployments


def children(
    deployment: LLMDeployment, settings: Settings, *, startup: int = pace.UNKNOWN_STARTUP
) -> list[dict[str, Any]]:
    """Address and protection first, then who scales, then the pods, so that no replica ever runs without them.

    Args:
        deployment: the object.
        settings: the administrator's.
        startup: seconds of a start, to which an autoscaler is sized.

    Raises:
        LookupError, ValueError: as `pod.template`; `engine.checks` finds both before.
    """
    return [*_before_the_pods(deployment, settings, startup), deployments.render(deployment, settings)]


def outlines(deployment: LLMDeployment, settings: Settings, *, startup: int) -> list[dict[str, Any]]:
    """The same without the pod template, which is told apart by its inputs: rendering it is most of the work."""
    return [*_before_the_pods(deployment, settings, startup), deployments.render_outline(deployment, settings)]


def _before_the_pods(deployment: LLMDeployment, settings: Settings, startup: int) -> list[dict[str, Any]]:
    policy, autoscaler = network_policy.render(deployment, settings), _autoscaler(deployment, settings, startup)
    optional = (cache.render(deployment), policy, autoscaler)
    return [service.render(deployment), pdb.render(deployment), *(child for child in optional if child)]


def _autoscaler(deployment: LLMDeployment, settings: Settings, startup: int) -> dict[str, Any] | None:
    """Who scales where that is not the operator itself."""
    scaling = deployment.spec.scaling
    if scaling is not None and deployment.scaled_by is ScalingMode.HPA:
        return hpa.render(deployment, scaling, startup=startup)
    if scaling is not None and deployment.scaled_by is ScalingMode.KEDA:
        return scaled_object.render(deployment, scaling, address=settings.prometheus.address, startup=startup)
    return None
