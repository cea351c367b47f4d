"""The PodDisruptionBudget: a node drain takes one replica at a time, and is never blocked by a broken one."""

from typing import Any

from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.manifests.names import metadata, selector


def render(deployment: LLMDeployment) -> dict[str, Any]:
    """The PodDisruptionBudget of the object."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(deployment),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(deployment.metadata.name)},
            # A replica that is not ready serves nobody: evicting it must not wait for the others.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
