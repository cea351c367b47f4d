"""Scaling by the real KEDA, which asks Prometheus itself. One story after the other: Prometheus goes in between."""

import time
from typing import Any

import pytest

from tests.cluster import Node, keda, monitoring
from tests.cluster.cluster import Cluster
from tests.node.stories import autoscaled
from tests.node.stories.autoscaled import BOUNDS, autoscaler, small
from tests.node.stories.site import install
from tests.node.stories.tenant import Tenant

pytestmark = [pytest.mark.node, pytest.mark.keda]

BY_KEDA = BOUNDS | {"mode": "KEDA"}


@pytest.fixture(scope="module")
def node(cluster: Cluster) -> Node:
    """With KEDA, and an operator that knows where Prometheus is."""
    if not isinstance(cluster, Node):
        pytest.skip("needs KEDA, and a Prometheus that can be stopped: only on an own node")
    began = time.monotonic()
    keda.install(cluster)
    print(f"KEDA serves after {time.monotonic() - began:.1f} s")
    install(cluster, verb="upgrade", extra={"settings": {"prometheus": {"address": monitoring.SERVICE_URL}}})
    return cluster


def of_a_person(team: Tenant, name: str) -> dict[str, Any]:
    """A ScaledObject on an LLMDeployment's scale subresource: the sum over its pods, and no data is no zero."""
    query = f'sum(max by (pod) ({{__name__=~"vllm:(kv|gpu)_cache_usage_perc",namespace="{team.namespace}"}}))'
    address = {"serverAddress": monitoring.SERVICE_URL}
    metadata = address | {"query": query, "threshold": "0.5", "ignoreNullValues": "false"}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 4}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "serving.llmfleet.io/v1alpha1", "kind": "LLMDeployment", "name": name},
            "minReplicaCount": 1,
            "maxReplicaCount": autoscaled.MOST,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
            "triggers": [{"type": "prometheus", "metadata": metadata}],
        },
    }


def scaled_objects(team: Tenant) -> list[str]:
    """Names of the namespace's ScaledObjects."""
    return [found["metadata"]["name"] for found in team.cluster.select("scaledobjects", namespace=team.namespace)]


def test_own_scaled_object(node: Node, team: Tenant) -> None:
    """A person's own ScaledObject: up, held while Prometheus is away, down; the operator only obeys."""
    team.apply("own", small())
    node.apply(of_a_person(team, "own"), namespace=team.namespace)
    autoscaled.up_blind_and_down(
        team,
        "own",
        blinded=lambda: monitoring.stop_prometheus(node),
        restored=lambda: monitoring.restart_prometheus(node),
        is_held=lambda: autoscaler(team, "keda-hpa-own").get("status") == "False",
    )
    assert team.condition("own", "ScalingActive")["reason"] == "Disabled"


def test_mode_keda(node: Node, team: Tenant) -> None:
    """The operator's ScaledObject: up, held while Prometheus is away, and said so, down; it goes with its object."""
    team.apply("scaled", small(scaling=BY_KEDA))
    autoscaled.up_blind_and_down(
        team,
        "scaled",
        blinded=lambda: monitoring.stop_prometheus(node),
        restored=lambda: monitoring.restart_prometheus(node),
        is_held=lambda: team.condition("scaled", "ScalingActive")["reason"] == "HeldMissingMetrics",
    )
    assert scaled_objects(team) == ["scaled"]
    team.kubectl("delete", "llm", "scaled")
    team.watch.until_told("its ScaledObject is gone", lambda: not scaled_objects(team))


@pytest.mark.usefixtures("node")
def test_switch_to_keda_and_back(team: Tenant) -> None:
    """Under load, Builtin to KEDA and back: replicas stay, and the ScaledObject goes."""
    with autoscaled.unmoved(team, "switch"):
        team.apply("switch", small(scaling=BY_KEDA))
        team.watch.until_told("the ScaledObject", lambda: scaled_objects(team) == ["switch"])
        autoscaled.until_active(team, "switch")
        team.apply("switch", small(scaling=BOUNDS))
        team.watch.until_told("the ScaledObject is gone", lambda: not scaled_objects(team))
        autoscaled.until_active(team, "switch")
