"""The control plane of the cluster library does what other tests rely on, and leaves nothing behind."""

import datetime as dt
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import ControlPlane, Kwok, processes
from tests.cluster.api import AGENT
from tests.cluster.audit import count

pytestmark = pytest.mark.control_plane


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    with ControlPlane() as cluster:
        yield cluster


def config_map(name: str, value: str = "") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}}


def deployment(name: str, *, replicas: int, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "engine", "image": "engine", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    template = {"metadata": {"labels": labels, "annotations": annotations or {}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def test_controllers_and_scheduler_work(cluster: ControlPlane) -> None:
    """A Deployment gets its pods; without nodes they wait, and say so."""
    cluster.apply(deployment("waiting", replicas=2))
    processes.wait_until("the pods", lambda: len(cluster.select("pods", labels="app=waiting")) == 2, timeout=60)
    processes.wait_until(
        "the scheduler's word", lambda: "no nodes available" in str(cluster.select("pods")), timeout=60
    )


def test_writes_are_audited_with_user_and_time(cluster: ControlPlane) -> None:
    """The log names who wrote what; dry runs, refusals and reads are no writes; earlier writes can be left out."""
    cluster.apply(config_map("first"))
    between = dt.datetime.now(dt.UTC)
    cluster.apply(config_map("second", "x"))
    cluster.kubectl("create", "configmap", "dry", "--dry-run=server")
    with pytest.raises(processes.CommandError, match="already exists"):
        cluster.kubectl("create", "configmap", "second")
    assert cluster.get("configmap", "second")["data"] == {"key": "x"}
    assert cluster.find("configmap", "third") is None

    written = [event for event in cluster.audit_log.writes(user="admin") if event.resource == "configmaps"]
    assert [event.name for event in written] == ["first", "second"]
    late = cluster.audit_log.writes(since=between, user="admin", agent=AGENT)
    assert count(late) == {"patch configmaps": 1}
    assert [event.name for event in cluster.audit_log.events(since=between, where=lambda e: e.dry_run)] == ["dry"]


def test_want_of_rights_is_told_from_other_refusals(cluster: ControlPlane) -> None:
    """Pod Security answers 403 as well, and is no fault of a role."""
    cluster.kubectl("create", "namespace", "strict")
    cluster.kubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
    for group in ("system:masters", "nobody"):
        whom = ["--as=somebody", f"--as-group={group}"]
        with pytest.raises(processes.CommandError, match="forbidden"):
            cluster.kubectl("-n", "strict", "run", "refused", "--image=any", *whom)
    refused = cluster.audit_log.events(where=lambda event: event.namespace == "strict" and event.resource == "pods")
    assert [(event.code, event.is_unauthorized) for event in refused] == [(403, False), (403, True)]


def test_a_service_account_has_its_own_rights_and_no_others(cluster: ControlPlane) -> None:
    cluster.kubectl("create", "serviceaccount", "reader")
    cluster.kubectl("create", "role", "read", "--verb=get,list", "--resource=configmaps")
    cluster.kubectl("create", "rolebinding", "read", "--role=read", "--serviceaccount=default:reader")
    kubeconfig = cluster.service_account_kubeconfig("default", "reader")
    kubectl = ["kubectl", f"--kubeconfig={kubeconfig}", "get"]
    assert "kube-root-ca.crt" in processes.run([*kubectl, "configmaps"], env=cluster.env)
    with pytest.raises(processes.CommandError, match='User "system:serviceaccount:default:reader" cannot list'):
        processes.run([*kubectl, "pods"], env=cluster.env)


def test_two_run_side_by_side_and_leave_nothing(cluster: ControlPlane) -> None:
    cluster.apply(config_map("here"))
    with ControlPlane() as other:
        assert "here" not in other.kubectl("get", "configmaps")
        folder = other.folder
    assert not folder.exists()
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder) in read(path)]


def test_a_component_that_dies_is_named() -> None:
    """Waiting for what cannot come any more ends with the name of the process that is missing and its last words."""
    with ControlPlane() as other:
        os.kill(other.daemons.pid_of("kube-scheduler"), signal.SIGKILL)
        with pytest.raises(processes.CommandError, match="kube-scheduler ended"):
            other.daemons.wait("a pod", lambda: False)


@pytest.mark.scale
def test_pods_by_the_hundred(cluster: ControlPlane) -> None:
    """Pods are scheduled onto GPUs and become Ready; a slow one later; one more than there are GPUs waits."""
    with Kwok(cluster, nodes=50, gpus=8):
        began = time.monotonic()
        cluster.apply(*(deployment(f"many-{number}", replicas=4) for number in range(90)))
        processes.wait_until("the pods", lambda: ready_replicas(cluster) >= 360, every=0.5)
        print(f"360 pods of 90 Deployments Ready after {time.monotonic() - began:.1f} s")
        cluster.apply(deployment("slow", replicas=1, annotations={"llmfleet.io/test-ready-after": "2s"}))
        began = time.monotonic()
        cluster.kubectl("rollout", "status", "deployment/slow", "--timeout=120s")
        assert time.monotonic() - began > 1


def ready_replicas(cluster: ControlPlane) -> int:
    items = cluster.select("deployments")
    return sum(item["status"].get("readyReplicas", 0) for item in items if item["metadata"]["name"].startswith("many-"))


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""
