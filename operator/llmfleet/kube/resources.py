"""The kinds that the operator speaks of, and where the API server has them; what names one LLMDeployment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmfleet.api.v1alpha1 import GROUP, KIND, PLURAL, VERSION

Key = tuple[str, str]
"""Namespace and name of an LLMDeployment."""
Body = Mapping[str, Any]
"""An object as the API server tells it, or a part of one."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Where a kind lives."""

    api: str
    """`api/v1` or `apis/GROUP/VERSION`."""
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """As it stands in a manifest."""
        return self.api.split("/", 1)[1]

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """URL path of the collection, the object, or a subresource of it."""
        scope = ["namespaces", namespace] if namespace else []
        return "/" + "/".join(part for part in (self.api, *scope, self.plural, name, sub) if part)


LLMS = Resource(f"apis/{GROUP}/{VERSION}", PLURAL, KIND)
DEPLOYMENTS = Resource("apis/apps/v1", "deployments", "Deployment")
SERVICES = Resource("api/v1", "services", "Service")
BUDGETS = Resource("apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget")
CLAIMS = Resource("api/v1", "persistentvolumeclaims", "PersistentVolumeClaim")
HPAS = Resource("apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECTS = Resource("apis/keda.sh/v1alpha1", "scaledobjects", "ScaledObject")
POLICIES = Resource("apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy")
PODS = Resource("api/v1", "pods", "Pod")
REPLICA_SETS = Resource("apis/apps/v1", "replicasets", "ReplicaSet")
SLICES = Resource("apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice")
CONFIG_MAPS = Resource("api/v1", "configmaps", "ConfigMap")
EVENTS = Resource("api/v1", "events", "Event")

WATCHED_CHILDREN = (DEPLOYMENTS, SERVICES, BUDGETS, CLAIMS, HPAS, POLICIES, PODS)
CHILDREN = {
    resource.kind: resource
    for resource in (DEPLOYMENTS, SERVICES, BUDGETS, CLAIMS, HPAS, SCALED_OBJECTS, POLICIES, SLICES)
}
