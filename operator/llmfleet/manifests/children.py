"""All children of an object, in the order in which they are applied."""

from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.manifests import cache, pdb, service
from llmfleet.manifests import deployment as deployments


def children(deployment: LLMDeployment, settings: Settings) -> list[dict[str, Any]]:
    """Address and protection first, then the pods, so that no replica ever runs without them.

    Raises:
        LookupError, ValueError: as `pod.template`; `engine.checks` finds both before.
    """
    return [*_before_the_pods(deployment), deployments.render(deployment, settings)]


def outlines(deployment: LLMDeployment, settings: Settings) -> list[dict[str, Any]]:
    """The same without the pod template, which is told apart by its inputs: rendering it is most of the work."""
    return [*_before_the_pods(deployment), deployments.render_outline(deployment, settings)]


def _before_the_pods(deployment: LLMDeployment) -> list[dict[str, Any]]:
    claim = cache.render(deployment)
    return [service.render(deployment), pdb.render(deployment), *([claim] if claim else [])]
