"""The operator as a process beside the test, on a control plane of the cluster library."""

import datetime as dt
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from tests.cluster import ControlPlane
from tests.cluster.audit import Event
from tests.cluster.control_plane import free_port

ROOT = Path(__file__).parents[2]
CRD = ROOT / "crds" / "llmdeployments.serving.llmfleet.io.yaml"
IMAGE = "vllm/vllm-openai:v0.32.0"
SETTINGS = {
    "engine": {"defaultImage": IMAGE, "allowedImages": ["vllm/vllm-openai:*"]},
    "models": {"imageVolumes": True},
    "gpuProfiles": [{"name": "gpu", "default": True, "memoryGiB": 80}],
}

QUIET = 4.0
"""Seconds in which an operator that has a reason to write would have written."""

T = TypeVar("T")


def until(found: Callable[[], T], *, what: str, seconds: float = 30.0) -> T:
    """Ask again and again until the answer is truthy; the answer.

    Raises:
        AssertionError: not within that time.
    """
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
    return answer


class Operator:
    """`with Operator(cluster) as operator:` - started, not yet the leader."""

    def __init__(
        self,
        cluster: ControlPlane,
        *,
        name: str = "operator",
        kubeconfig: Path | None = None,
        namespaces: tuple[str, ...] = (),
        lease_namespace: str = "default",
        settings: dict[str, Any] | None = None,
        activator: str = "",
    ) -> None:
        self.cluster = cluster
        self._activator = activator
        self._document = SETTINGS | (settings or {})
        self._namespaces = namespaces
        self._lease_namespace = lease_namespace
        self.port = free_port()
        self._settings = cluster.folder / f"{name}.settings.yaml"
        self._log = cluster.folder / f"{name}.{self.port}.log"
        self._kubeconfig = kubeconfig or cluster.kubeconfig
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = dt.datetime.now(dt.UTC)

    def start(self) -> None:
        self._settings.write_text(yaml.safe_dump(self._document))
        argv = [sys.executable, "-m", "llmfleet", "run", f"--settings={self._settings}", f"--port={self.port}"]
        argv += [f"--namespace={namespace}" for namespace in self._namespaces]
        argv += [f"--lease-namespace={self._lease_namespace}", f"--activator={self._activator}"]
        env = self.cluster.env | {"PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(self._kubeconfig)}
        self.started_at = dt.datetime.now(dt.UTC)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=env, stderr=log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process; its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.stop(signal.SIGKILL)
        sys.stderr.write(self.log)

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of one of the operator's own pages; 0 while it does not answer."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except URLError as error:
            return getattr(error, "code", 0), str(error)

    def leads(self) -> bool:
        return "llmfleet_leader 1.0" in self.page("/metrics")[1]

    def wait_until_leading(self, seconds: float = 30.0) -> None:
        until(self.leads, what="the operator leads", seconds=seconds)


def install_crd(cluster: ControlPlane) -> None:
    cluster.apply_crd(CRD)


def writes(cluster: ControlPlane, *, since: dt.datetime) -> list[Event]:
    """What the operator wrote, but for its Lease."""
    found = cluster.audit_log.writes(since=since, agent="llmfleet")
    return [event for event in found if event.resource != "leases"]


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def llm(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.llmfleet.io/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"model": {"source": "hf://Qwen/Qwen3-8B"}} | spec,
    }


def patch(cluster: ControlPlane, kind: str, name: str, body: dict[str, Any]) -> None:
    """Change an object as `kubectl patch` does."""
    cluster.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(body))


class Target:
    """One LLMDeployment and its children, as kubectl shows them."""

    def __init__(self, cluster: ControlPlane, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def apply(self, **spec: Any) -> None:
        """Apply it; returns when the operator has looked at this generation."""
        self.cluster.apply(llm(self.name, **spec))
        self.settle()

    def settle(self) -> None:
        until(self._is_observed, what=f"{self.name} is observed")
        time.sleep(1.0)  # the first pods come right after; their events are one more pass

    def _is_observed(self) -> bool:
        body = self.get("llm")
        observed: object = body.get("status", {}).get("observedGeneration")
        return bool(observed == body["metadata"]["generation"])

    def get(self, kind: str) -> Any:
        return self.cluster.get(kind, self.name)

    def exists(self, kind: str) -> bool:
        return self.cluster.find(kind, self.name) is not None

    def condition(self, kind: str) -> dict[str, Any]:
        conditions = self.get("llm").get("status", {}).get("conditions", [])
        found: dict[str, Any] = next((c for c in conditions if c["type"] == kind), {})
        return found

    def wait_for(self, kind: str, *, reason: str) -> dict[str, Any]:
        """The condition, once it has that reason."""
        until(lambda: self.condition(kind).get("reason") == reason, what=f"{self.name}: {kind} {reason}")
        return self.condition(kind)

    def replica_sets(self) -> list[str]:
        listed = self.cluster.select("replicasets", labels=f"llmfleet.io/deployment={self.name}")
        return sorted(item["metadata"]["name"] for item in listed)

    @property
    def child_names(self) -> list[str]:
        labels = f"llmfleet.io/deployment={self.name}"
        kinds = ("deployment", "persistentvolumeclaim", "poddisruptionbudget", "service")
        found = [(kind, item) for kind in kinds for item in self.cluster.select(kind, labels=labels)]
        return [f"{kind}/{item['metadata']['name']}" for kind, item in found]


def is_free_of_kopf(body: dict[str, Any]) -> bool:
    """Whether kopf has left nothing on the object."""
    meta = body["metadata"]
    return "finalizers" not in meta and not any("kopf" in key for key in meta.get("annotations", {}))
