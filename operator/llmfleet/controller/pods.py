"""Pods -> where each one stands on its way from Pending to Ready, and what holds it up, in words. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llmfleet.api.conditions import Reason

Body = Mapping[str, Any]

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

STUCK_WAITING = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Reasons of a waiting container that do not go away by waiting, as the kubelet spells them."""

RESTARTS_STUCK = 2
"""Restarts without ever becoming ready from which a start counts as stuck, also while the engine tries again."""

MESSAGE_LENGTH = 700


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """One engine pod."""

    name: str
    uid: str
    version: int
    owner: str
    """uid of its ReplicaSet."""
    ip: str
    template: str
    """Pod-template hash that the Deployment controller gave it."""
    ready: bool
    terminating: bool
    finished: bool
    """Succeeded or Failed (evicted, node lost): it will never serve again."""
    created_at: float
    """Unix time, seconds; so are the others."""
    started_at: float
    """Of the engine container that runs now; 0 if none does."""
    ready_since: float
    """0 if not ready."""
    restarts: int
    deletion_cost: int
    stage: Reason
    """UNSCHEDULABLE, PULLING_IMAGE, LOADING, STUCK, or COMPLETE once ready."""
    detail: str
    """The sentence to the stage."""


def view_pod(body: Body, _: "PodView | None" = None) -> PodView:
    """Read a pod."""
    meta, status = body["metadata"], body.get("status") or {}
    ready = _condition(status, "Ready")
    engine = _engine(status)
    stage, detail = _stage(status)
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        owner=next((r["uid"] for r in meta.get("ownerReferences") or [] if r.get("controller")), ""),
        ip=status.get("podIP", ""),
        template=(meta.get("labels") or {}).get("pod-template-hash", ""),
        ready=ready.get("status") == "True",
        terminating="deletionTimestamp" in meta,
        finished=status.get("phase") in {"Succeeded", "Failed"},
        created_at=_seconds(meta.get("creationTimestamp")),
        started_at=_seconds(((engine.get("state") or {}).get("running") or {}).get("startedAt")),
        ready_since=_seconds(ready.get("lastTransitionTime")) if ready.get("status") == "True" else 0.0,
        restarts=engine.get("restartCount", 0),
        deletion_cost=_deletion_cost(meta),
        stage=stage,
        detail=detail,
    )


def _stage(status: Body) -> tuple[Reason, str]:
    """Where the pod stands; checks in the order of a pod's life."""
    for check in (_ready, _failed, _unscheduled, _stuck, _pulling):
        if found := check(status):
            return found
    return Reason.LOADING, "the engine loads the model"


def _ready(status: Body) -> tuple[Reason, str] | None:
    """It answers."""
    return (Reason.COMPLETE, "") if _condition(status, "Ready").get("status") == "True" else None


def _failed(status: Body) -> tuple[Reason, str] | None:
    """Evicted, refused by the node, or ended."""
    if status.get("phase") != "Failed":
        return None
    return Reason.STUCK, _sentence(status.get("reason", "Failed"), status.get("message", ""))


def _unscheduled(status: Body) -> tuple[Reason, str] | None:
    """No node takes it."""
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") != "False":
        return None
    return Reason.UNSCHEDULABLE, _sentence(scheduled.get("message", "no node takes the pod"))


def _stuck(status: Body) -> tuple[Reason, str] | None:
    """A container cannot be started, or does not stay up."""
    for container in _containers(status):
        waiting = (container.get("state") or {}).get("waiting") or {}
        restarts = container.get("restartCount", 0)
        if waiting.get("reason") in STUCK_WAITING:
            words = "" if waiting["reason"] == "CrashLoopBackOff" else waiting.get("message", "")  # says only when
            return Reason.STUCK, _sentence(waiting["reason"], words) + _last_end(container)
        if restarts >= RESTARTS_STUCK and not container.get("ready"):
            return Reason.STUCK, f"the container {container['name']} does not become ready" + _last_end(container)
    return None


def _pulling(status: Body) -> tuple[Reason, str] | None:
    """Scheduled, but no container has started: the image is on its way."""
    containers = _containers(status)
    if all("running" not in (c.get("state") or {}) and not c.get("restartCount") for c in containers):
        image = containers[-1].get("image", "") if containers else ""
        return Reason.PULLING_IMAGE, f"the node pulls {image}" if image else "the node prepares the pod"
    return None


def _last_end(container: Body) -> str:
    """How a container ended last: restarts, exit code and its last words."""
    ended = (container.get("lastState") or {}).get("terminated") or (container.get("state") or {}).get("terminated")
    if not ended:
        return ""
    restarts = container.get("restartCount", 0)
    why = f"; restarts: {restarts}, last exit code {ended.get('exitCode')}"
    if ended.get("reason") not in {None, "Error", "Completed"}:
        why += f" ({ended['reason']})"
    words = (ended.get("message") or "").strip()
    return f"{why}: {words[-MESSAGE_LENGTH:]}" if words else why


def _sentence(*parts: str) -> str:
    return ": ".join(part.strip() for part in parts if part)[:MESSAGE_LENGTH]


def _containers(status: Body) -> list[Body]:
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _engine(status: Body) -> Body:
    """The first container: manifests put the engine there."""
    return next(iter(status.get("containerStatuses") or []), {})


def _condition(status: Body, kind: str) -> Body:
    return next((c for c in status.get("conditions") or [] if c["type"] == kind), {})


def _deletion_cost(meta: Body) -> int:
    try:
        return int((meta.get("annotations") or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0  # somebody wrote something else there: Kubernetes counts that as 0 too


def _seconds(time: str | None) -> float:
    return datetime.fromisoformat(time).timestamp() if time else 0.0


@dataclass(frozen=True, slots=True)
class Hold:
    """What holds up the pods that are not ready."""

    stage: Reason
    message: str
    restarted: bool
    """One of them has run before: something broke, rather than starts."""


_ORDER = (Reason.STUCK, Reason.UNSCHEDULABLE, Reason.PULLING_IMAGE, Reason.LOADING)


def hold(pods: Iterable[PodView]) -> Hold | None:
    """The worst stage of the live pods that are not ready, with how many are in it; None if there are none."""
    waiting = [pod for pod in pods if not pod.ready and not pod.terminating]
    for stage in _ORDER:
        here = sorted((pod for pod in waiting if pod.stage is stage), key=lambda pod: pod.created_at, reverse=True)
        if here:
            count = f"{len(here)} of {len(waiting)} waiting pods: " if len(waiting) > 1 else ""
            return Hold(stage, f"{count}{here[0].name}: {here[0].detail}", any(pod.restarts for pod in waiting))
    return None
