"""Pretends to be a node with GPUs and its kubelet: reports of each pod what a script says, and lets pods end at once.

kwok makes every pod Ready; here some must fail, again and again, in the kubelet's own words.
"""

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from tests.cluster import ControlPlane
from tests.cluster.api import ApiError

MERGE = "application/merge-patch+json"
NODE = "pretended"
PERIOD = 0.2
HEARTBEAT = 5.0
CAPACITY = {"cpu": "256", "memory": "1Ti", "pods": "250", "nvidia.com/gpu": "64", "ephemeral-storage": "1Ti"}

Status = dict[str, Any]


def now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(pod: dict[str, Any]) -> float:
    """Seconds since the pod was made, to the second."""
    made = dt.datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return (dt.datetime.now(dt.UTC) - made).total_seconds()


def ready() -> Status:
    """The engine answers."""
    return _running(ready=True)


def loading() -> Status:
    """The engine loads the model."""
    return _running(ready=False)


def _running(*, ready: bool) -> Status:
    container = _container({"running": {"startedAt": now()}}, ready=ready)
    return {"phase": "Running", "containerStatuses": [container], "conditions": _conditions(ready=ready)}


def crashing(words: str, *, times: int) -> Status:
    """The engine has ended so often, with these words at the end of its log, and waits for its next start."""
    end = {"exitCode": 1, "reason": "Error", "message": words, "startedAt": now(), "finishedAt": now()}
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container"}
    container = _container({"waiting": waiting}, restarts=times - 1, ready=False) | {"lastState": {"terminated": end}}
    return {"phase": "Running", "containerStatuses": [container], "conditions": _conditions(ready=False)}


def _container(state: Status, *, ready: bool, restarts: int = 0) -> Status:
    base = {"name": "engine", "image": "vllm", "imageID": "sha256:0", "started": ready}
    return base | {"ready": ready, "restartCount": restarts, "state": state}


def _conditions(*, ready: bool) -> list[Status]:
    status = "True" if ready else "False"
    changed = now()
    return [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": changed},
        {"type": "Initialized", "status": "True", "lastTransitionTime": changed},
        {"type": "ContainersReady", "status": status, "lastTransitionTime": changed},
        {"type": "Ready", "status": status, "lastTransitionTime": changed},
    ]


def _merged(before: list[Status], after: list[Status]) -> list[Status]:
    """As the kubelet does it: a condition keeps its time until its status changes."""
    old = {c["type"]: c for c in before}
    return [old[c["type"]] if old.get(c["type"], {}).get("status") == c["status"] else c for c in after]


class Kubelet:
    """`with Kubelet(cluster, script):` - `script` gives the status of a pod that has none yet, or that is to change."""

    def __init__(self, cluster: ControlPlane, script: Callable[[dict[str, Any]], Status]) -> None:
        self._cluster = cluster
        self._script = script
        self._told: dict[str, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._beat = 0.0

    def __enter__(self) -> Self:
        self._cluster.api.request(
            "POST", "/api/v1/nodes", body={"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=30)
        self._cluster.api.request("DELETE", f"/api/v1/nodes/{NODE}")

    def _run(self) -> None:
        while not self._over.wait(PERIOD):
            try:
                self._live()
            except ApiError as error:  # the pod is gone, or somebody else wrote: the next look sees it
                print(error)

    def _live(self) -> None:
        if time.monotonic() - self._beat > HEARTBEAT:
            self._beat = time.monotonic()
            condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": now(), "reason": "KubeletReady"}
            status = {"capacity": CAPACITY, "allocatable": CAPACITY, "conditions": [condition]}
            self._patch(f"/api/v1/nodes/{NODE}/status", {"status": status})
        for pod in self._cluster.select("pods", fields=f"spec.nodeName={NODE}"):
            self._report(pod)

    def _report(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if "deletionTimestamp" in meta:
            self._cluster.api.request("DELETE", path, body={"gracePeriodSeconds": 0})
            return
        status = self._script(pod)
        told = repr([(c["ready"], c["restartCount"]) for c in status["containerStatuses"]])
        if self._told.get(meta["uid"]) != told:
            began = pod["status"].get("startTime") or now()
            conditions = _merged(pod["status"].get("conditions", []), status["conditions"])
            self._patch(f"{path}/status", {"status": status | {"startTime": began, "conditions": conditions}})
            self._told[meta["uid"]] = told

    def _patch(self, path: str, body: dict[str, Any]) -> None:
        self._cluster.api.request("PATCH", path, body=body, content_type=MERGE)
