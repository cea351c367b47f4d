"""The NetworkPolicy: who may connect to the engines. Their own way out (hub, buckets) is not limited.

The kubelet's probes come from the pod's own node, and pass whatever a policy says.
"""

from collections.abc import Iterator
from typing import Any

from llmfleet.api.network import METADATA_NAME
from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import PORT, LLMDeployment
from llmfleet.manifests.hashing import digest
from llmfleet.manifests.names import POLICY_HASH, metadata, selector


def render(deployment: LLMDeployment, settings: Settings) -> dict[str, Any] | None:
    """The NetworkPolicy of the object; None where the object asks for none."""
    policy = deployment.spec.access.network_policy
    if policy is None:
        return None
    own = [peer.dump() for peer in policy.from_]
    peers = [*({"namespaceSelector": {"matchLabels": {METADATA_NAME: n}}} for n in _namespaces(settings)), *own]
    # A rule without peers would let everybody in; no rule at all lets nobody.
    ingress = [{"from": peers, "ports": [{"protocol": "TCP", "port": PORT}]}] if peers else []
    spec = {
        "podSelector": {"matchLabels": selector(deployment.metadata.name)},
        "policyTypes": ["Ingress"],
        "ingress": ingress,
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        # Empty selectors mean everything, and which of them is empty is all the difference between some policies: they
        # are told apart by this, since empty values are left out where a live child is compared with the wanted one.
        "metadata": metadata(deployment) | {"annotations": {POLICY_HASH: digest(spec)}},
        "spec": spec,
    }


def _namespaces(settings: Settings) -> Iterator[str]:
    """Those that may always connect, each once."""
    network = settings.network
    named = [network.operator_namespace, *network.monitoring_namespaces]
    yield from dict.fromkeys(name for name in named if name)
