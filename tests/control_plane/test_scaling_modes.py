"""Who scales, and what becomes of the one before, on a real API server with Kubernetes' own controllers."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import ControlPlane
from tests.cluster.audit import count
from tests.control_plane.operator_process import QUIET, Operator, Target, now, patch, until, writes

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("all_ready")]

HPA = {"mode": "HPA", "minReplicas": 1, "maxReplicas": 6}
BUILTIN = {"mode": "Builtin", "minReplicas": 1, "maxReplicas": 6}
NOBODY_SERVES_METRICS = "MetricsAPIMissing"


@pytest.fixture(scope="module", autouse=True)
def operator(cluster: ControlPlane) -> Iterator[Operator]:
    with Operator(cluster) as process:
        process.wait_until_leading()
        yield process


def until_gone(target: Target, kind: str) -> None:
    until(lambda: not target.exists(kind), what=f"the {kind} is gone")


def test_the_mode_hpa_makes_an_autoscaler_of_the_object(cluster: ControlPlane) -> None:
    """Owned, aimed at the object's own /scale; the real controller's words are passed on; replicas stay."""
    target = Target(cluster, "made")
    target.apply(replicas=3, scaling=HPA)
    llm, hpa = target.get("llm"), target.get("hpa")
    assert [owner["uid"] for owner in hpa["metadata"]["ownerReferences"]] == [llm["metadata"]["uid"]]
    assert hpa["spec"]["scaleTargetRef"] == {
        "apiVersion": "serving.llmfleet.io/v1alpha1",
        "kind": "LLMDeployment",
        "name": "made",
    }
    found = target.wait_for("ScalingActive", reason=NOBODY_SERVES_METRICS)
    assert found["status"] == "False"
    assert found["message"].startswith("3 replicas stay: the HPA was unable to compute the replica count")
    assert "Install prometheus-adapter" in found["message"]
    assert target.condition("Ready")["status"] == "True"
    assert target.get("llm")["spec"]["replicas"] == 3
    assert target.get("llm")["status"]["scaling"]["reason"] == NOBODY_SERVES_METRICS


def test_nothing_is_written_while_nothing_changes(cluster: ControlPlane, operator: Operator) -> None:
    """Nor by the next operator, which finds everything as it should be."""
    target = Target(cluster, "calm")
    target.apply(scaling=HPA | {"targets": {"kvCacheUsagePercent": 5, "waitingPerReplica": 1000}})
    target.wait_for("ScalingActive", reason=NOBODY_SERVES_METRICS)
    time.sleep(QUIET)
    since = now()
    cluster.kubectl("annotate", "llm", target.name, "example.com/seen=1")
    cluster.kubectl("annotate", "hpa", target.name, "example.com/seen=1")
    time.sleep(QUIET)
    operator.stop()
    operator.start()
    operator.wait_until_leading()
    time.sleep(QUIET)
    assert count([event for event in writes(cluster, since=since) if event.name == target.name]) == {}


def test_the_autoscaler_follows_the_spec_and_heals(cluster: ControlPlane) -> None:
    target = Target(cluster, "kept")
    target.apply(scaling=HPA)
    first = target.replica_sets()
    target.apply(scaling=HPA | {"minReplicas": 2, "maxReplicas": 9, "objective": "Latency"})
    until(lambda: target.get("hpa")["spec"]["maxReplicas"] == 9, what="the new bounds")
    averages = [metric["pods"]["target"]["averageValue"] for metric in target.get("hpa")["spec"]["metrics"]]
    assert averages == ["300m", "1"]
    patch(cluster, "hpa", target.name, {"spec": {"maxReplicas": 100}})
    until(lambda: target.get("hpa")["spec"]["maxReplicas"] == 9, what="the edit is taken back")
    before = target.get("hpa")["metadata"]["uid"]
    cluster.kubectl("delete", "hpa", target.name)
    until(lambda: target.exists("hpa") and target.get("hpa")["metadata"]["uid"] != before, what="a new one")
    assert target.replica_sets() == first


def test_its_pace_is_sized_to_a_start_that_was_seen(cluster: ControlPlane) -> None:
    """Pods here are ready at once; the window never gets shorter than the object's own delay."""
    target = Target(cluster, "paced")
    target.apply(scaling=HPA | {"scaleDownDelaySeconds": 0})
    until(
        lambda: target.get("hpa")["metadata"]["annotations"]["llmfleet.io/startup-seconds"] == "15",
        what="the time of a start",
    )
    behavior = target.get("hpa")["spec"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 15
    assert {policy["periodSeconds"] for policy in behavior["scaleUp"]["policies"]} == {15}
    target.apply(scaling=HPA | {"scaleDownDelaySeconds": 200})
    until(
        lambda: target.get("hpa")["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 200,
        what="the object's own delay",
    )


def test_modes_change_without_a_jump(cluster: ControlPlane) -> None:
    """There and back: one number, one ReplicaSet, no pod made anew, and the autoscaler of the mode before is gone."""
    target = Target(cluster, "changing")
    target.apply(replicas=4, scaling=BUILTIN)
    until(lambda: target.get("llm")["status"].get("readyReplicas") == 4, what="four replicas")
    first, seen = target.replica_sets(), set()
    for mode in (HPA, BUILTIN, HPA, None, HPA):
        target.apply(replicas=4, **({"scaling": mode} if mode else {}))
        if mode is HPA:
            until(lambda: target.exists("hpa"), what="an autoscaler")
        else:
            until_gone(target, "hpa")
        time.sleep(1.0)
        seen.add((target.get("llm")["spec"]["replicas"], target.get("deployment")["spec"]["replicas"]))
    assert seen == {(4, 4)}
    assert target.replica_sets() == first


def test_builtin_after_hpa_begins_by_watching(cluster: ControlPlane) -> None:
    """What Kubernetes wrote before is not held against it."""
    target = Target(cluster, "back")
    target.apply(replicas=3, scaling=HPA)
    target.apply(replicas=3, scaling=BUILTIN)
    until_gone(target, "hpa")
    until(lambda: target.condition("ScalingActive")["reason"].startswith("Held"), what="it watches")
    assert target.get("llm")["spec"]["replicas"] == 3


@pytest.mark.parametrize("change", [{"suspend": True, "scaling": HPA}, {}], ids=["suspended", "scaling removed"])
def test_where_nobody_scales_there_is_no_autoscaler(cluster: ControlPlane, change: dict[str, Any]) -> None:
    target = Target(cluster, "off")
    target.apply(scaling=HPA)
    until(lambda: target.exists("hpa"), what="an autoscaler")
    target.apply(**change)
    until_gone(target, "hpa")
    assert target.wait_for("ScalingActive", reason="Disabled")["status"] == "False"


def test_somebody_elses_autoscaler_is_neither_taken_over_nor_deleted(cluster: ControlPlane) -> None:
    """Nor when the mode is another one."""
    target = Target(cluster, "theirs")
    cluster.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "theirs", "namespace": "default"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"},
                "maxReplicas": 3,
            },
        }
    )
    before = target.get("hpa")
    target.apply(scaling=HPA)
    message = target.wait_for("SpecValid", reason="NameConflict")["message"]
    assert "There is a HorizontalPodAutoscaler theirs that does not belong" in message
    target.apply(scaling=BUILTIN)
    target.wait_for("SpecValid", reason="Valid")
    time.sleep(QUIET)
    found = target.get("hpa")
    assert (found["metadata"]["uid"], found["spec"]) == (before["metadata"]["uid"], before["spec"])


def test_it_goes_with_the_object(cluster: ControlPlane) -> None:
    target = Target(cluster, "going")
    target.apply(scaling=HPA)
    until(lambda: target.exists("hpa"), what="an autoscaler")
    cluster.kubectl("delete", "llm", target.name)
    until_gone(target, "hpa")


def test_the_idlest_pods_are_marked_before_replicas_go(cluster: ControlPlane) -> None:
    """Whoever wrote the number: the ReplicaSet chooses by what is on the pods at that moment."""
    target = Target(cluster, "idle")
    target.apply(replicas=3, scaling=HPA)
    until(lambda: target.get("llm")["status"].get("readyReplicas") == 3, what="three replicas")
    time.sleep(6.0)  # the autoscaler's loop has looked at them
    since = now()
    cluster.kubectl("scale", "llm", target.name, "--replicas=1")
    until(lambda: target.get("deployment")["spec"]["replicas"] == 1, what="one replica")
    done = [e.resource for e in writes(cluster, since=since) if e.name.startswith("idle") and "/" not in e.resource]
    assert done[:3] == ["pods", "pods", "deployments"]
