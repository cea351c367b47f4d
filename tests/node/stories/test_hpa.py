"""Kubernetes' own autoscaler on the engines' metrics, through Prometheus and prometheus-adapter."""

from typing import Any

import pytest
import yaml

from tests.cluster import monitoring
from tests.cluster.cluster import Cluster
from tests.node.stories import autoscaled
from tests.node.stories.autoscaled import BOUNDS, autoscaler, metrics, small
from tests.node.stories.site import CHART, OLD_ENGINE
from tests.node.stories.tenant import Tenant

pytestmark = pytest.mark.node

OLD = {"engine": {"image": OLD_ENGINE}, "env": [{"name": "SIM_VLLM_VERSION", "value": "0.10.2"}]}

BY_HPA = BOUNDS | {"mode": "HPA"}


@pytest.fixture(autouse=True)
def _custom_metrics(cluster: Cluster) -> None:
    if not monitoring.serves_custom_metrics(cluster):
        pytest.skip("custom.metrics.k8s.io is not served here: it needs prometheus-adapter with the chart's rules")


def example() -> dict[str, Any]:
    """The HorizontalPodAutoscaler that the chart shows people, with their patience left out."""
    documents = yaml.safe_load_all((CHART / "examples" / "hpa.yaml").read_text())
    found: dict[str, Any] = next(document for document in documents if document["kind"] == "HorizontalPodAutoscaler")
    at_once = {"stabilizationWindowSeconds": 4, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}]}
    found["spec"] |= {"maxReplicas": autoscaled.MOST, "behavior": {"scaleDown": at_once}}
    return found


@pytest.mark.long
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param({}, id="kv_cache_usage_perc"),
        pytest.param(OLD, id="gpu_cache_usage_perc", marks=pytest.mark.thorough),
    ],
)
def test_own_autoscaler(team: Tenant, engine: dict[str, Any]) -> None:
    """A person's own autoscaler on the scale subresource: up, held without metrics, down; the operator only obeys."""
    scaler = example()
    own, name = scaler["metadata"]["name"], scaler["spec"]["scaleTargetRef"]["name"]
    team.apply(name, small(**engine))
    team.cluster.apply(scaler, namespace=team.namespace)
    autoscaled.up_blind_and_down(
        team,
        name,
        blinded=lambda: metrics(team, name, are_on=False),
        restored=lambda: metrics(team, name, are_on=True),
        is_held=lambda: autoscaler(team, own).get("reason") == "FailedGetPodsMetric",
    )
    measured = team.watch.state["HorizontalPodAutoscaler", own]["status"]["currentMetrics"]
    assert {metric["pods"]["metric"]["name"] for metric in measured} == {
        "gpu_cache_usage_perc",
        "vllm_requests_waiting",
    }
    assert team.condition(name, "ScalingActive")["reason"] == "Disabled"


@pytest.mark.long
def test_mode_hpa(team: Tenant) -> None:
    """The operator's own HorizontalPodAutoscaler: up, held without metrics in words, down."""
    team.apply("scaled", small(scaling=BY_HPA))
    autoscaled.up_blind_and_down(
        team,
        "scaled",
        blinded=lambda: metrics(team, "scaled", are_on=False),
        restored=lambda: metrics(team, "scaled", are_on=True),
        is_held=lambda: team.condition("scaled", "ScalingActive")["reason"] == "HeldMissingMetrics",
    )


@pytest.mark.long
def test_switch_to_hpa_and_back(team: Tenant) -> None:
    """Under load, Builtin to HPA and back: replicas stay, and the autoscaler of the mode that was left goes."""
    scaler = ("HorizontalPodAutoscaler", "switch")
    with autoscaled.unmoved(team, "switch"):
        team.apply("switch", small(scaling=BY_HPA))
        team.watch.until("the autoscaler", lambda: scaler in team.watch.state)
        autoscaled.until_active(team, "switch")
        team.apply("switch", small(scaling=BOUNDS))
        team.watch.until("the autoscaler is gone", lambda: scaler not in team.watch.state)
        autoscaled.until_active(team, "switch")
