"""The mode KEDA on a real API server with KEDA's own CRD, which is there, is not, comes and goes. KEDA is played."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import ControlPlane
from tests.cluster.audit import count
from tests.control_plane.operator_process import QUIET, Operator, Target, llm, now, until, writes
from tests.golden.test_golden import expected

pytestmark = [pytest.mark.control_plane, pytest.mark.thorough, pytest.mark.usefixtures("all_ready")]

GARBAGE = 90.0
"""Seconds for the garbage collector, which looks for new kinds, those of owners too, every 30 s."""
CRD = Path(__file__).parent / "keda" / "keda.sh_scaledobjects.yaml"
ADDRESS = "http://prometheus-operated.monitoring.svc:9090"
KEDA = {"mode": "KEDA", "minReplicas": 1, "maxReplicas": 6}
BUILTIN = {"mode": "Builtin", "minReplicas": 1, "maxReplicas": 6}
MERGE = "application/merge-patch+json"
FINALIZER = "finalizer.keda.sh"


@pytest.fixture(scope="module", autouse=True)
def operator(cluster: ControlPlane) -> Iterator[Operator]:
    with Operator(cluster, settings={"prometheus": {"address": ADDRESS}}) as process:
        process.wait_until_leading()
        yield process


def path(name: str, sub: str = "") -> str:
    return f"/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects/{name}{sub}"


def patch(cluster: ControlPlane, url: str, body: dict[str, Any]) -> None:
    cluster.api.request("PATCH", url, body=body, content_type=MERGE)


def say(cluster: ControlPlane, name: str, **conditions: tuple[str, str, str]) -> None:
    """Write a ScaledObject's status as KEDA does."""
    found = [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, (status, reason, message) in conditions.items()
    ]
    patch(cluster, path(name, "/status"), {"status": {"conditions": found}})


def until_gone(target: Target, kind: str) -> None:
    until(lambda: not target.exists(kind), what=f"the {kind} is gone")


def test_without_keda_everything_else_works(cluster: ControlPlane) -> None:
    """The object serves and says what is missing; it goes like any other; nothing is tried again and again."""
    target = Target(cluster, "early")
    target.apply(scaling=KEDA)
    found = target.wait_for("ScalingActive", reason="KEDAMissing")
    assert found["status"] == "False"
    assert found["message"].startswith("1 replica stays: there can be no ScaledObjects (the API server does not")
    assert "Install KEDA 2.18 or newer" in found["message"]
    until(lambda: target.condition("Ready").get("status") == "True", what="it serves")
    assert target.condition("SpecValid")["status"] == "True"
    since = now()
    time.sleep(QUIET)
    assert count(writes(cluster, since=since)) == {}
    gone = Target(cluster, "gone")
    gone.apply(scaling=KEDA)
    cluster.kubectl("delete", "llm", "gone")
    until(lambda: not gone.child_names, what="its children are gone", seconds=GARBAGE)


def test_keda_that_is_installed_later_is_noticed(cluster: ControlPlane) -> None:
    """Without a restart; the ScaledObject is one that KEDA's CRD takes, to the field."""
    target = Target(cluster, "early")
    cluster.apply_crd(CRD)
    until(lambda: target.exists("scaledobject"), what="a ScaledObject", seconds=60)
    made = target.get("scaledobject")
    assert [owner["uid"] for owner in made["metadata"]["ownerReferences"]] == [target.get("llm")["metadata"]["uid"]]
    assert made["spec"]["triggers"][0]["metadata"]["serverAddress"] == ADDRESS
    target.wait_for("ScalingActive", reason="AutoscalerPending")
    (golden,) = (child for child in expected("scaled-by-keda") if child["kind"] == "ScaledObject")
    golden["metadata"] |= {"namespace": "default", "name": "golden", "ownerReferences": []}
    (stored,) = cluster.apply(golden)
    assert stored["spec"] == golden["spec"]
    cluster.kubectl("delete", "scaledobject", "golden")


def test_nothing_is_written_while_nothing_changes(cluster: ControlPlane, operator: Operator) -> None:
    """Whatever KEDA notes on its object; nor by the next operator."""
    target = Target(cluster, "calm")
    target.apply(scaling=KEDA)
    until(lambda: target.exists("scaledobject"), what="a ScaledObject")
    target.wait_for("ScalingActive", reason="AutoscalerPending")
    time.sleep(QUIET)
    since = now()
    noted = {"labels": {"scaledobject.keda.sh/name": "calm"}, "finalizers": [FINALIZER]}
    patch(cluster, path("calm"), {"metadata": noted})
    patch(cluster, path("calm", "/status"), {"status": {"lastActiveTime": "2026-11-26T12:00:00Z"}})
    cluster.kubectl("annotate", "llm", target.name, "example.com/seen=1")
    time.sleep(QUIET)
    operator.stop()
    operator.start()
    operator.wait_until_leading()
    time.sleep(QUIET)
    assert count([event for event in writes(cluster, since=since) if event.name == target.name]) == {}
    patch(cluster, path("calm"), {"metadata": {"finalizers": None}})


def test_what_keda_says_is_passed_on(cluster: ControlPlane) -> None:
    target = Target(cluster, "said")
    target.apply(scaling=KEDA)
    until(lambda: target.exists("scaledobject"), what="a ScaledObject")
    fine = ("True", "ScaledObjectReady", "ScaledObject is defined correctly and is ready for scaling")
    say(cluster, "said", Ready=("False", "ScaledObjectCheckFailed", "prometheus is of a wrong type"))
    assert "prometheus is of a wrong type" in target.wait_for("ScalingActive", reason="AutoscalerFailed")["message"]
    say(cluster, "said", Ready=fine, Paused=("True", "ScaledObjectPaused", "ScaledObject is paused"))
    target.wait_for("ScalingActive", reason="AutoscalerPaused")
    say(cluster, "said", Ready=fine, Fallback=("True", "FallbackExists", "At least one trigger is falling back"))
    found = target.wait_for("ScalingActive", reason="HeldMissingMetrics")
    assert "At least one trigger is falling back (FallbackExists)" in found["message"]
    assert target.get("llm")["spec"]["replicas"] == 1


def test_the_autoscaler_that_keda_makes_is_seen(cluster: ControlPlane) -> None:
    """It carries the object's label; here Kubernetes' controller finds nobody who serves external metrics."""
    target = Target(cluster, "through")
    target.apply(scaling=KEDA)
    until(lambda: target.exists("scaledobject"), what="a ScaledObject")
    made = target.get("scaledobject")
    say(cluster, "through", Ready=("True", "ScaledObjectReady", "ScaledObject is defined correctly"))
    owner = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "name": "through",
        "uid": made["metadata"]["uid"],
    }
    external = {"metric": {"name": "s0-prometheus"}, "target": {"type": "AverageValue", "averageValue": "50"}}
    cluster.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {
                "name": "keda-hpa-through",
                "labels": made["metadata"]["labels"],
                "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
            },
            "spec": {
                "scaleTargetRef": made["spec"]["scaleTargetRef"],
                "maxReplicas": 6,
                "metrics": [{"type": "External", "external": external}],
            },
        }
    )
    message = target.wait_for("ScalingActive", reason="MetricsAPIMissing")["message"]
    assert "Install KEDA with its metrics server" in message
    target.apply(scaling=BUILTIN)
    until_gone(target, "scaledobject")
    until(lambda: cluster.find("hpa", "keda-hpa-through") is None, what="what KEDA made goes with it")
    until(lambda: target.condition("ScalingActive")["reason"].startswith("Held"), what="the autoscaler watches")


def test_the_built_in_autoscaler_waits_until_keda_has_let_go(cluster: ControlPlane) -> None:
    """KEDA's finalizer keeps a ScaledObject for a while; the number stays, and nothing rolls."""
    target = Target(cluster, "slow")
    target.apply(replicas=3, scaling=KEDA)
    until(lambda: target.exists("scaledobject"), what="a ScaledObject")
    patch(cluster, path("slow"), {"metadata": {"finalizers": [FINALIZER]}})
    first = target.replica_sets()
    target.apply(replicas=3, scaling=BUILTIN)
    until(lambda: "deletionTimestamp" in target.get("scaledobject")["metadata"], what="it is on its way out")
    found = target.wait_for("ScalingActive", reason="AutoscalerPending")
    assert "the ScaledObject of another spec.scaling.mode has to go first" in found["message"]
    patch(cluster, path("slow"), {"metadata": {"finalizers": None}})
    until_gone(target, "scaledobject")
    until(lambda: target.condition("ScalingActive")["reason"].startswith("Held"), what="the autoscaler watches")
    body = target.get("llm")
    assert (body["spec"]["replicas"], body["status"]["readyReplicas"]) == (3, 3)
    assert target.replica_sets() == first


def test_hpa_to_keda_and_back(cluster: ControlPlane) -> None:
    """One at a time: KEDA refuses an object that an HPA scales."""
    target = Target(cluster, "round")
    hpa = KEDA | {"mode": "HPA"}
    target.apply(scaling=hpa)
    until(lambda: target.exists("hpa"), what="an HPA")
    since = now()
    target.apply(scaling=KEDA)
    until(lambda: target.exists("scaledobject") and not target.exists("hpa"), what="a ScaledObject alone")
    target.apply(scaling=hpa)
    until(lambda: target.exists("hpa") and not target.exists("scaledobject"), what="an HPA alone")
    kinds = {"horizontalpodautoscalers", "scaledobjects"}
    done = [(e.verb, e.resource) for e in writes(cluster, since=since) if e.resource in kinds and e.name == "round"]
    assert done == [
        ("delete", "horizontalpodautoscalers"),
        ("patch", "scaledobjects"),
        ("delete", "scaledobjects"),
        ("patch", "horizontalpodautoscalers"),
    ]


def test_somebody_elses_scaled_object_is_left_alone(cluster: ControlPlane) -> None:
    theirs = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "theirs"},
        "spec": {
            "scaleTargetRef": {"name": "other"},
            "triggers": [{"type": "cron", "metadata": {"timezone": "UTC"}}],
        },
    }
    (before,) = cluster.apply(theirs)
    target = Target(cluster, "theirs")
    target.apply(scaling=KEDA)
    target.wait_for("SpecValid", reason="NameConflict")
    target.apply(scaling=BUILTIN)
    target.wait_for("SpecValid", reason="Valid")
    time.sleep(QUIET)
    found = target.get("scaledobject")
    assert (found["metadata"]["uid"], found["spec"]) == (before["metadata"]["uid"], before["spec"])


def test_keda_that_goes_is_noticed_too(cluster: ControlPlane) -> None:
    """Its CRD takes the ScaledObjects along; the objects serve on, and say so; they can be deleted."""
    target = Target(cluster, "early")
    cluster.kubectl("delete", "crd", yaml.safe_load(CRD.read_text())["metadata"]["name"])
    target.wait_for("ScalingActive", reason="KEDAMissing")
    assert target.condition("Ready")["status"] == "True"
    cluster.kubectl("delete", "llm", "early")
    until(lambda: not target.child_names, what="its children are gone", seconds=GARBAGE)
    cluster.apply(llm("late", scaling=KEDA))
    Target(cluster, "late").wait_for("ScalingActive", reason="KEDAMissing")
