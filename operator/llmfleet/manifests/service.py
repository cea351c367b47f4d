"""The Service: the one address of the fleet. Only replicas that have warmed up stand behind it."""

from typing import Any

from llmfleet.api.v1alpha1 import PORT, LLMDeployment
from llmfleet.manifests.names import PORT_NAME, metadata, selector


def render(deployment: LLMDeployment) -> dict[str, Any]:
    """The Service of the object."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(deployment),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(deployment.metadata.name),
            "ports": [
                {
                    "name": PORT_NAME,
                    "port": PORT,
                    "targetPort": PORT_NAME,
                    "protocol": "TCP",
                    "appProtocol": "http",
                }
            ],
            "publishNotReadyAddresses": False,
        },
    }
