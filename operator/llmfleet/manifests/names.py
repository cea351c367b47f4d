"""Names, labels and annotations that every child shares, and the reference to its owner."""

from typing import Any

from llmfleet.api.v1alpha1 import GROUP, KIND, PORT, VERSION, LLMDeployment

FIELD_MANAGER = "llmfleet"
PREFIX = "llmfleet.io/"
DEPLOYMENT_LABEL = f"{PREFIX}deployment"
INPUTS_HASH = f"{PREFIX}inputs-hash"
TEMPLATE_HASH = f"{PREFIX}template-hash"
CACHE_SIZE = f"{PREFIX}cache-size"
POLICY_HASH = f"{PREFIX}policy-hash"
LOGGING = f"{PREFIX}logging"
START_HOLD = f"{PREFIX}start-hold"
RENDERED_HASH = f"{PREFIX}rendered-hash"
"""On pods: of the template that they were made from, as it was rendered."""
STARTUP_SECONDS = f"{PREFIX}startup-seconds"
"""On an autoscaler: the time of a start to which its pace is sized."""
ENGINE_CONTAINER = "engine"
PORT_NAME = "http"


def cache_claim(name: str) -> str:
    """Name of the claim that is made for an object's cache."""
    return f"{name}-cache"


def keda_hpa(name: str) -> str:
    """Name of the HorizontalPodAutoscaler that KEDA makes for an object's ScaledObject."""
    return f"keda-hpa-{name}"


def metadata(deployment: LLMDeployment) -> dict[str, Any]:
    """The metadata of a child: it has the object's name and goes with the object.

    `blockOwnerDeletion` is false: true would need the right to write the object's finalizers.
    """
    owner = deployment.metadata
    return {
        "name": owner.name,
        "namespace": owner.namespace,
        "labels": labels(owner.name),
        "ownerReferences": [
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }


def labels(name: str) -> dict[str, str]:
    """Labels of every child and of the pods."""
    return {
        "app.kubernetes.io/name": "llmfleet",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "engine",
        "app.kubernetes.io/managed-by": "llmfleet",
        DEPLOYMENT_LABEL: name,
    }


def selector(name: str) -> dict[str, str]:
    """Labels that tell this object's pods from all others; a Deployment's selector can never be changed."""
    return {DEPLOYMENT_LABEL: name}


def selector_text(name: str) -> str:
    """The selector as the scale subresource shows it."""
    return ",".join(f"{key}={value}" for key, value in selector(name).items())


def url(deployment: LLMDeployment) -> str:
    """Base URL of the OpenAI API inside the cluster."""
    return f"http://{deployment.metadata.name}.{deployment.metadata.namespace}.svc:{PORT}/v1"
