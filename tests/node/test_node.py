"""The whole node of the cluster library does what the stories rely on, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Node, cgroups, images, monitoring, processes, state
from tests.cluster.node import clean_leftovers
from tests.cluster.prometheus import QueryError

pytestmark = pytest.mark.node

IMAGE = "localhost/llmfleet/web:1"
GPUS = 3
LABELS = {"app": "web"}


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    archive = images.build(IMAGE, Path(__file__).parent / "web" / "Dockerfile")
    with Node(gpus=GPUS) as node:
        node.load_image(archive)
        yield node


def pod(*, gpus: int = 0, claim: str = "") -> dict[str, Any]:
    """A pod template that the restricted Pod Security profile lets in."""
    container: dict[str, Any] = {
        "name": "web",
        "image": IMAGE,
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {},
        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/srv/data"}] if claim else [],
    }
    return {
        "metadata": {"labels": LABELS},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}] if claim else [],
            "terminationGracePeriodSeconds": 1,
        },
    }


def deployment(name: str, *, replicas: int = 1, gpus: int = 0, claim: str = "") -> dict[str, Any]:
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": pod(gpus=gpus, claim=claim)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def namespace(node: Node, name: str) -> str:
    """Make a namespace in which the restricted profile is enforced."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    return name


def volume(name: str, folder: Path) -> list[dict[str, Any]]:
    """A persistent volume on a folder of the node and a claim that binds to it."""
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    disk = {**common, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(folder)}}
    claim = {**common, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": disk},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": claim},
    ]


def fetch(url: str) -> str:
    """What a URL answers; empty while nobody does: a Service has its rules a moment after its pods are ready."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - a loopback address
            return str(response.read().decode())
    except (urllib.error.URLError, ConnectionError):
        return ""


def test_a_pod_serves_a_volume_through_its_service(node: Node) -> None:
    """A hostPath volume is bound and read by the pod, and its file comes out of the Service, inside and outside."""
    space = namespace(node, "serving")
    folder = node.volumes / "weights"
    folder.mkdir()
    (folder / "hello.txt").write_text("from the volume")
    service = {"selector": LABELS, "ports": [{"port": 80, "targetPort": 8000}]}
    node.apply(
        *volume("weights", folder),
        deployment("web", claim="weights"),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service},
        namespace=space,
    )
    node.kubectl("-n", space, "rollout", "status", "deployment/web", "--timeout=120s")

    outside = f"http://127.0.0.1:{node.forward('web.serving.svc', 80)}/data/hello.txt"
    processes.wait_until("the Service", lambda: fetch(outside) == "from the volume", timeout=30)
    code = (
        "import urllib.request as u; print(u.urlopen('http://web.serving/data/hello.txt', timeout=20).read().decode())"
    )
    assert node.run(sys.executable, "-c", code) == "from the volume\n"
    assert node.kubectl("-n", space, "exec", "deployment/web", "--", "python", "-c", code) == "from the volume\n"
    assert node.kubectl("-n", space, "exec", "deployment/web", "--", "id", "-u") == "65532\n"
    assert "GET /data/hello.txt" in node.kubectl("-n", space, "logs", "deployment/web")


def test_pods_that_break_the_profile_are_refused(node: Node) -> None:
    space = namespace(node, "refusing")
    with pytest.raises(processes.CommandError, match="violates PodSecurity"):
        node.kubectl("-n", space, "run", "bad", f"--image={IMAGE}")


def test_gpus_are_counted(node: Node) -> None:
    """As many pods run as there are GPUs; one more waits and says why."""
    space = namespace(node, "counting")
    node.apply(deployment("gpu", replicas=GPUS + 1, gpus=1), namespace=space)
    node.kubectl(
        "-n", space, "wait", "deployment/gpu", f"--for=jsonpath={{.status.readyReplicas}}={GPUS}", "--timeout=120s"
    )
    waiting = node.select("pods", namespace=space, fields="status.phase=Pending")
    assert len(waiting) == 1
    assert "Insufficient nvidia.com/gpu" in waiting[0]["status"]["conditions"][0]["message"]


def test_writes_are_audited(node: Node) -> None:
    node.kubectl("create", "configmap", "seen")
    written = [event for event in node.audit_log.writes(user="admin") if event.name == "seen"]
    assert [(event.verb, event.resource) for event in written] == [("create", "configmaps")]


def test_prometheus_joins_the_node(node: Node) -> None:
    """It answers this machine and, by the Service's name, the node; alerts fire; autoscalers find their API."""
    rules = {"groups": [{"name": "test", "rules": [{"alert": "Always", "expr": "vector(2) > 1"}]}]}
    metric = {
        "seriesQuery": "up",
        "name": {"as": "up"},
        "metricsQuery": "<<.Series>>",
        "resources": {"template": "<<.Resource>>"},
    }
    assert not monitoring.serves_custom_metrics(node)
    monitoring.start(node, scraped=[], adapter_rules=[metric], rules=[rules])
    assert monitoring.serves_custom_metrics(node)
    server = monitoring.client(node)
    assert server is not None
    assert [sample.value for sample in server.query("scalar(vector(3))")] == [3]
    processes.wait_until("the alert", lambda: [a["labels"]["alertname"] for a in server.alerts()] == ["Always"])
    code = f"import urllib.request as u; print(u.urlopen('{monitoring.SERVICE_URL}/-/ready', timeout=20).status)"
    assert node.run(sys.executable, "-c", code) == "200\n"
    monitoring.stop_prometheus(node)
    with pytest.raises(QueryError, match="vector"):
        server.query("vector(1)")
    monitoring.restart_prometheus(node)
    with pytest.raises(QueryError, match="parse error"):
        server.query("vector(")


def test_nothing_is_left_behind() -> None:
    """A node with a running pod goes at once, with its processes, mounts, control groups and files."""
    archive = images.build(IMAGE, Path(__file__).parent / "web" / "Dockerfile")
    with Node() as node:
        node.start_daemon("guest", ["sleep", "1000"])
        node.load_image(archive)
        node.apply(deployment("web"), namespace="default")
        node.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
        folder, group = node.folder, node.node.cgroup
        assert traces(folder, group)
    assert traces(folder, group) == []


def test_a_killed_starter_leaves_what_the_next_start_removes() -> None:
    """Kill -9 of the process that started a node ends the node; the folder and control groups go at the next start."""
    script = (
        "import signal\nfrom tests.cluster import Node\n"
        "with Node() as node:\n    print(node.folder, node.node.cgroup, flush=True)\n    signal.pause()"
    )
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert starter.stdout is not None
    with starter.stdout as output:
        line = next(text for text in output if str(state.state_root()) in text)
        path, group = line.split()
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
    folder = Path(path)
    processes.wait_until("the node's end", lambda: folder not in state.living("node"), timeout=30)
    assert folder in clean_leftovers()
    assert traces(folder, group) == []


def traces(folder: Path, group: str) -> list[str]:
    """Everything on this machine that still belongs to a node."""
    found = [f"process {path.parent.name}" for path in Path("/proc").glob("[0-9]*/cmdline") if _mentions(path, folder)]
    found += [f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]
    found += [f"group {path / group}" for path in cgroups.hierarchies() if (path / group).exists()]
    return [*found, *([f"folder {folder}"] if folder.exists() else [])]


def _mentions(cmdline: Path, folder: Path) -> bool:
    try:
        return str(folder).encode() in cmdline.read_bytes()
    except OSError:  # it has just ended
        return False
