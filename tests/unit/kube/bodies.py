"""Bodies as the API server gives them."""

from typing import Any

UID = "11111111-0000-0000-0000-000000000000"
NOON = "2026-11-22T12:00:00Z"

Body = dict[str, Any]


def llm_body(
    name: str = "qwen", *, uid: str = UID, generation: int = 1, status: Body | None = None, **spec: Any
) -> Body:
    meta = {"name": name, "namespace": "team", "uid": uid, "generation": generation, "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"model": {"source": "Qwen/Qwen3-8B"}} | spec, "status": status or {}}


def pod_body(name: str = "qwen-1", *, ready: bool = False, deleting: bool = False, **status: Any) -> Body:
    meta: Body = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-{name}",
        "resourceVersion": "5",
        "creationTimestamp": NOON,
        "labels": {"llmfleet.io/deployment": "qwen", "pod-template-hash": "abc"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "qwen-abc", "uid": "uid-of-qwen-abc", "controller": True}],
    }
    if deleting:
        meta["deletionTimestamp"] = NOON
    conditions = [{"type": "PodScheduled", "status": "True"}]
    if ready:
        conditions.append({"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T12:01:00Z"})
    defaults: Body = {"phase": "Running", "conditions": conditions, "containerStatuses": [container(ready=ready)]}
    return {"metadata": meta, "status": defaults | status}


def container(*, ready: bool = False, restarts: int = 0, last: Body | None = None, **state: Any) -> Body:
    return {
        "name": "engine",
        "image": "vllm:v1",
        "ready": ready,
        "restartCount": restarts,
        "state": state or {"running": {"startedAt": "2026-11-22T12:00:10Z"}},
        "lastState": {"terminated": last} if last else {},
    }
