"""The operator on a real API server: one object's life, and what people and other controllers do to it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cluster import ControlPlane
from tests.cluster.audit import count
from tests.control_plane.operator_process import (
    CRD,
    IMAGE,
    QUIET,
    Operator,
    Target,
    is_free_of_kopf,
    llm,
    now,
    patch,
    until,
    writes,
)

pytestmark = pytest.mark.control_plane


@pytest.fixture(scope="module", autouse=True)
def operator(cluster: ControlPlane) -> Iterator[Operator]:
    with Operator(cluster) as process:
        process.wait_until_leading()
        yield process


def image_of(deployment: Any) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def test_an_object_gets_its_children_and_a_status(cluster: ControlPlane) -> None:
    """Deployment with both hashes, Service, PodDisruptionBudget, all owned; the status is complete from the start."""
    target = Target(cluster, "whole")
    target.apply()
    uid = target.get("llm")["metadata"]["uid"]
    for kind in ("deployment", "service", "pdb"):
        owners = target.get(kind)["metadata"]["ownerReferences"]
        assert [(owner["uid"], owner["controller"]) for owner in owners] == [(uid, True)]
    annotations = target.get("deployment")["metadata"]["annotations"]
    assert annotations["llmfleet.io/inputs-hash"]
    assert annotations["llmfleet.io/template-hash"]
    target.wait_for("Progressing", reason="Unschedulable")
    body = target.get("llm")
    status = body["status"]
    assert (status["ready"], status["replicas"], status["readyReplicas"]) == ("0/1", 1, 0)
    assert status["selector"] == "llmfleet.io/deployment=whole"
    assert status["url"] == "http://whole.default.svc:8000/v1"
    assert status["gpuProfile"] == "gpu"
    assert status["engine"]["version"] == "0.32.0"
    reasons = {condition["type"]: condition["reason"] for condition in status["conditions"]}
    assert reasons == {
        "Ready": "Starting",
        "Available": "NoneReady",
        "Progressing": "Unschedulable",
        "SpecValid": "Valid",
        "ScalingActive": "Disabled",
    }
    assert {condition["observedGeneration"] for condition in status["conditions"]} == {1}
    assert is_free_of_kopf(body)
    events = cluster.select("events", fields="involvedObject.name=whole,involvedObject.kind=LLMDeployment")
    assert [event["reason"] for event in events] == ["Unschedulable"]


def test_the_memory_plan_is_in_the_status(cluster: ControlPlane) -> None:
    """Also of a model that is not known: in words."""
    target = Target(cluster, "planned")
    target.apply(engine={"maxModelLen": 8192})
    plan = target.get("llm")["status"]["plan"]
    assert (plan["verdict"], plan["modelKnown"], plan["kvBytesPerToken"]) == ("Fits", True, 147456)
    assert plan["maxConcurrentSequences"] == plan["kvCacheTokens"] // 8192
    target.apply(model={"source": "team/secret"})
    plan = target.get("llm")["status"]["plan"]
    assert (plan["modelKnown"], "kvCacheTokens" in plan) == (False, False)
    assert "team/secret is not among the well-known models" in plan["message"]
    target.wait_for("SpecValid", reason="Valid")


def test_a_model_that_does_not_fit_is_not_started(cluster: ControlPlane) -> None:
    """What ran before still runs; the sentence says what to set, and with it the spec goes through."""
    target = Target(cluster, "large")
    target.apply()
    before = target.get("deployment")["metadata"]["generation"]
    target.apply(model={"source": "meta-llama/Llama-3.3-70B-Instruct"})
    message = target.wait_for("SpecValid", reason="DoesNotFitMemory")["message"]
    assert "does not fit on gpu: the weights take 131.4 GiB of each GPU" in message
    assert message.endswith("set spec.gpu.tensorParallelSize to 4.")
    assert target.get("deployment")["metadata"]["generation"] == before
    target.apply(model={"source": "meta-llama/Llama-3.3-70B-Instruct"}, gpu={"tensorParallelSize": 4})
    target.wait_for("SpecValid", reason="Valid")
    assert target.get("deployment")["metadata"]["generation"] > before


def test_a_settled_object_causes_no_write(cluster: ControlPlane) -> None:
    """Also with quantities that the API server stores in another form, and when something makes the operator look."""
    target = Target(cluster, "settled")
    target.apply(resources={"requests": {"cpu": "0.50", "memory": "1024Mi"}, "limits": {"memory": "2048Mi"}})
    target.wait_for("Progressing", reason="Unschedulable")
    time.sleep(QUIET)
    since = now()
    cluster.kubectl("annotate", "llm", target.name, "example.com/seen=1")
    cluster.kubectl("annotate", "deployment", target.name, "example.com/seen=1")
    time.sleep(QUIET)
    assert count(writes(cluster, since=since)) == {}


def test_a_changed_field_makes_one_rollout_and_replicas_make_none(cluster: ControlPlane) -> None:
    target = Target(cluster, "changing")
    target.apply()
    first = target.replica_sets()
    cluster.kubectl("scale", "llm", target.name, "--replicas=3")
    until(lambda: target.get("deployment")["spec"]["replicas"] == 3, what="three replicas")
    assert target.replica_sets() == first
    target.apply(replicas=3, engine={"maxNumSeqs": 7})
    assert len(target.replica_sets()) == len(first) + 1
    patch(cluster, "llm", target.name, {"spec": {"suspend": True}})
    until(lambda: target.get("deployment")["spec"]["replicas"] == 0, what="no replicas")
    assert target.wait_for("Ready", reason="Suspended")["status"] == "False"


def test_an_edit_of_our_field_is_taken_back(cluster: ControlPlane) -> None:
    """Whoever forces another image, number of replicas, port or label: the object is what counts."""
    target = Target(cluster, "edited")
    target.apply()
    container = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "busybox"}]
    cluster.kubectl("patch", "deployment", target.name, "--type=json", "-p", json.dumps(container))
    until(lambda: image_of(target.get("deployment")) == IMAGE, what="the image is back")
    cluster.kubectl("scale", "deployment", target.name, "--replicas=5")
    until(lambda: target.get("deployment")["spec"]["replicas"] == 1, what="the replicas are back")
    patch(cluster, "service", target.name, {"spec": {"selector": {"llmfleet.io/deployment": "other"}}})
    until(
        lambda: target.get("service")["spec"]["selector"] == {"llmfleet.io/deployment": target.name},
        what="the selector is back",
    )
    patch(cluster, "pdb", target.name, {"spec": {"maxUnavailable": 5}})
    until(lambda: target.get("pdb")["spec"]["maxUnavailable"] == 1, what="the budget is back")
    cluster.kubectl("label", "service", target.name, "llmfleet.io/deployment-")
    until(lambda: "service/edited" in target.child_names, what="the label is back")


def test_what_others_add_stays(cluster: ControlPlane) -> None:
    """A restart by kubectl and foreign annotations are not ours to remove, also when replicas change afterwards."""
    target = Target(cluster, "shared")
    target.apply()
    cluster.kubectl("rollout", "restart", "deployment", target.name)
    cluster.kubectl("annotate", "service", target.name, "example.com/mine=1")
    until(lambda: len(target.replica_sets()) == 2, what="the restart rolls")
    cluster.kubectl("scale", "llm", target.name, "--replicas=2")
    until(lambda: target.get("deployment")["spec"]["replicas"] == 2, what="two replicas")
    time.sleep(QUIET)
    template = target.get("deployment")["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    assert target.get("service")["metadata"]["annotations"]["example.com/mine"] == "1"
    assert len(target.replica_sets()) == 2


@pytest.mark.parametrize("kind", ["deployment", "service", "pdb"])
def test_a_child_that_is_deleted_comes_back(cluster: ControlPlane, kind: str) -> None:
    target = Target(cluster, "healed")
    target.apply()
    before = target.get(kind)["metadata"]["uid"]
    cluster.kubectl("delete", kind, target.name)
    until(lambda: target.exists(kind) and target.get(kind)["metadata"]["uid"] != before, what=f"a new {kind}")


@pytest.mark.parametrize("kind", ["service", "deployment"])
def test_a_foreign_object_is_not_taken_over(cluster: ControlPlane, kind: str) -> None:
    """It stays as it is, nothing else is created, the condition says what to do, and a way out works."""
    target = Target(cluster, f"taken-{kind}")
    if kind == "service":
        cluster.kubectl("create", "service", "clusterip", target.name, "--tcp=80")
    else:
        cluster.kubectl("create", "deployment", target.name, "--image=busybox", "--replicas=0")
    before = target.get(kind)["spec"]
    target.apply()
    found = target.wait_for("SpecValid", reason="NameConflict")
    assert found["status"] == "False"
    assert f"There is a {kind.capitalize()} {target.name} that does not belong" in found["message"]
    assert target.condition("Ready")["reason"] == "Invalid"
    assert target.child_names == []
    assert target.get(kind)["spec"] == before
    cluster.kubectl("delete", kind, target.name)
    target.apply(engine={"maxNumSeqs": 7})
    target.wait_for("SpecValid", reason="Valid")
    assert len(target.child_names) == 3


def test_a_refusal_by_the_cluster_is_told_in_its_words(cluster: ControlPlane) -> None:
    cluster.kubectl("create", "namespace", "poor")
    cluster.kubectl("create", "quota", "none", "--hard=count/deployments.apps=0", "--namespace=poor")
    body = llm("refused") | {"metadata": {"name": "refused", "namespace": "poor"}}
    cluster.apply(body)

    def found() -> Any:
        conditions = cluster.get("llm", "refused", namespace="poor").get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == "SpecValid"), None)

    assert until(found, what="a condition")["reason"] == "RefusedByCluster"
    assert "exceeded quota" in found()["message"]


def test_a_wrong_spec_leaves_what_ran_before(cluster: ControlPlane) -> None:
    """And the corrected one goes through."""
    target = Target(cluster, "wrong")
    target.apply()
    before = target.get("deployment")["metadata"]["generation"]
    target.apply(gpu={"profile": "tpu"})
    message = target.wait_for("SpecValid", reason="ProfileNotFound")["message"]
    assert "set spec.gpu.profile to one of: gpu" in message
    assert target.get("deployment")["metadata"]["generation"] == before
    target.apply(engine={"maxNumSeqs": 7})
    target.wait_for("SpecValid", reason="Valid")
    assert target.get("deployment")["metadata"]["generation"] > before


def test_a_stored_object_that_became_invalid_harms_no_other(cluster: ControlPlane) -> None:
    """A bound that came later: the object says so, keeps its children, and the next object is served."""
    loose = yaml.safe_load(CRD.read_text())
    schema = loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del schema["engine"]["properties"]["gpuMemoryUtilization"]["maximum"]
    cluster.apply(loose)
    target = Target(cluster, "stored")
    until(lambda: _applies(cluster, llm("stored", engine={"gpuMemoryUtilization": 7})), what="the bound is gone")
    cluster.apply(yaml.safe_load(CRD.read_text()))
    message = target.wait_for("SpecValid", reason="NotReadable")["message"]
    assert "spec.engine.gpuMemoryUtilization" in message
    neighbour = Target(cluster, "neighbour")
    neighbour.apply()
    assert len(neighbour.child_names) == 3
    target.apply(engine={"gpuMemoryUtilization": 0.7})
    target.wait_for("SpecValid", reason="Valid")


def _applies(cluster: ControlPlane, body: dict[str, Any]) -> bool:
    try:
        cluster.apply(body)
    except RuntimeError:
        return False
    return True


def test_deletion_is_left_to_kubernetes(cluster: ControlPlane, operator: Operator) -> None:
    """No finalizer; children go; the operator writes nothing more, and its series are gone."""
    target = Target(cluster, "deleted")
    target.apply()
    assert 'name="deleted"' in operator.page("/metrics")[1]
    since = now()
    cluster.kubectl("delete", "llm", target.name)
    until(lambda: not target.child_names, what="the children are gone")
    time.sleep(QUIET)
    assert [event.name for event in writes(cluster, since=since)] == []
    until(lambda: 'name="deleted"' not in operator.page("/metrics")[1], what="its series are gone")


def test_an_object_made_anew_under_its_name_gets_its_own_children(cluster: ControlPlane) -> None:
    target = Target(cluster, "again")
    target.apply()
    cluster.kubectl("delete", "llm", target.name, "--wait=false")
    cluster.apply(llm(target.name))
    uid = target.get("llm")["metadata"]["uid"]

    def owners() -> set[str]:
        kinds = [kind for kind in ("deployment", "service", "pdb") if target.exists(kind)]
        return {target.get(kind)["metadata"]["ownerReferences"][0]["uid"] for kind in kinds}

    until(lambda: len(target.child_names) == 3 and owners() == {uid}, what="children of the new object")


def test_the_probes_answer(operator: Operator) -> None:
    assert operator.page("/livez") == (200, "ok")
    assert operator.page("/readyz") == (200, "ok")
    assert operator.page("/")[0] == 404
