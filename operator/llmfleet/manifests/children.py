"""All children of an object, in the order in which they are applied."""

from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.manifests import deployment as deployments
from llmfleet.manifests import pdb, service


def children(deployment: LLMDeployment, settings: Settings) -> list[dict[str, Any]]:
    """Address and protection first, then the pods, so that no replica ever runs without them.

    Raises:
        LookupError, ValueError: as `pod.template`; `engine.checks` finds both before.
    """
    return [service.render(deployment), pdb.render(deployment), deployments.render(deployment, settings)]


def outlines(deployment: LLMDeployment, settings: Settings) -> list[dict[str, Any]]:
    """The same without the pod template, which is told apart by its inputs: rendering it is most of the work."""
    return [service.render(deployment), pdb.render(deployment), deployments.render_outline(deployment, settings)]
