"""The pod template on a real API server: what is an edit, what is not, and that nothing is written twice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.manifests import deployment as deployments
from llmfleet.manifests import pdb, service
from llmfleet.manifests.names import FIELD_MANAGER
from tests.cluster import ControlPlane

pytestmark = pytest.mark.control_plane

GOLDEN = Path(__file__).parents[1] / "golden"
SETTINGS = Settings.parse(yaml.safe_load((GOLDEN / "settings.yaml").read_text()))
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/llmdeployment.yaml"))
PLACE = {"namespace": "default", "uid": "6a1f7f3e-5b1d-4c57-9c0e-0d6f3f1b8a11"}
RESTARTED = "kubectl.kubernetes.io/restartedAt"


class Fleet:
    """One object's Deployment, applied as the operator does."""

    def __init__(self, cluster: ControlPlane, case: str, name: str) -> None:
        body = yaml.safe_load((GOLDEN / case / "llmdeployment.yaml").read_text())
        self.object = LLMDeployment.parse(body | {"metadata": PLACE | {"name": name}})
        self.rendered = deployments.render(self.object, SETTINGS)
        self.target = f"deployment/{name}"
        self.cluster = cluster
        self.kubectl = cluster.kubectl

    def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        stored: dict[str, Any] = self.cluster.api.apply(manifest, namespace="default", manager=FIELD_MANAGER)
        return stored

    def roll(self) -> None:
        stored = self.apply(deployments.with_rendered_hash(self.rendered))
        if not deployments.has_template_hash(stored):
            self.apply(deployments.with_template_hash(self.rendered, stored))

    def keep(self) -> dict[str, Any]:
        return self.apply(deployments.keeping_template(self.rendered, self.live()))

    def live(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("deployment", self.rendered["metadata"]["name"])
        return found

    def stands(self) -> bool:
        return deployments.template_stands(self.rendered, self.live())


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    with ControlPlane() as control_plane:
        yield control_plane


@pytest.mark.parametrize("case", CASES)
def test_every_golden_object_is_accepted_and_stands_at_once(cluster: ControlPlane, case: str) -> None:
    fleet = Fleet(cluster, case, case)
    fleet.apply(service.render(fleet.object))
    fleet.apply(pdb.render(fleet.object))
    fleet.roll()
    before = fleet.live()
    assert deployments.template_stands(fleet.rendered, before)
    after = fleet.keep()
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["spec"] == before["spec"]


def test_others_may_add_but_not_edit(cluster: ControlPlane) -> None:
    fleet = Fleet(cluster, "fp8-tp4", "edited")
    fleet.roll()

    fleet.kubectl("rollout", "restart", fleet.target)
    fleet.kubectl("scale", fleet.target, "--replicas=3")
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "proxy"}]}}}}
    fleet.kubectl("patch", fleet.target, "--type=strategic", "-p", json.dumps(sidecar))
    assert fleet.stands()
    template = fleet.live()["spec"]["template"]
    assert {c["name"] for c in template["spec"]["containers"]} == {"engine", "sidecar"}
    assert RESTARTED in template["metadata"]["annotations"]
    kept = fleet.keep()["spec"]
    assert kept["replicas"] == fleet.object.wanted_replicas
    assert kept["template"] == template

    fleet.kubectl("set", "image", fleet.target, "engine=vllm/vllm-openai:v0.31.0")
    assert not fleet.stands()
    fleet.roll()
    assert fleet.stands()
    images = {c["name"]: c["image"] for c in fleet.live()["spec"]["template"]["spec"]["containers"]}
    assert images == {"engine": "vllm/vllm-openai:v0.32.0", "sidecar": "proxy"}


def test_a_removed_field_of_ours_is_an_edit(cluster: ControlPlane) -> None:
    fleet = Fleet(cluster, "spot-nodes", "removed")
    fleet.roll()
    removal = [{"op": "remove", "path": "/spec/template/spec/nodeSelector"}]
    fleet.kubectl("patch", fleet.target, "--type=json", "-p", json.dumps(removal))
    assert not fleet.stands()
