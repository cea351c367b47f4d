"""The EndpointSlice that lets an activator answer at an object's address while the object is at zero.

It stands beside the slices that Kubernetes makes for the Service's selector, and kube-proxy takes all of them together.
Its port has the Service's name and another number, one for each object: by it the activator knows which object a
connection is for, whatever the request says. Without addresses it changes nothing.
"""

from collections.abc import Iterable
from typing import Any

from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.manifests.names import FIELD_MANAGER, PORT_NAME, metadata

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
"""Kubernetes' own controller leaves slices alone that name another manager."""


def slice_name(name: str) -> str:
    """Name of an object's slice."""
    return f"{name}-activator"


def render(deployment: LLMDeployment, *, port: int, addresses: Iterable[str], family: str) -> dict[str, Any]:
    """The slice of the object.

    Args:
        deployment: the object.
        port: at which activators listen for it.
        addresses: of the activators that answer; none above zero.
        family: IPv4 or IPv6; it can never be changed.
    """
    shared, name = metadata(deployment), deployment.metadata.name
    labels = shared["labels"] | {SERVICE_NAME: name, MANAGED_BY: FIELD_MANAGER}
    conditions = {"ready": True, "serving": True, "terminating": False}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": shared | {"name": slice_name(name), "labels": labels},
        "addressType": family,
        "endpoints": [{"addresses": [address], "conditions": conditions} for address in sorted(addresses)],
        "ports": [{"name": PORT_NAME, "port": port, "protocol": "TCP", "appProtocol": "http"}],
    }
