"""Pods -> small observations, and what holds up those that are not ready, in words. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from llmfleet.api.conditions import Reason
from llmfleet.engine.failures import Failure
from llmfleet.kube import stages
from llmfleet.kube.resources import Body
from llmfleet.manifests.names import RENDERED_HASH

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """One engine pod."""

    name: str
    uid: str
    version: int
    owner: str
    """uid of its ReplicaSet."""
    owner_name: str
    """Name of its ReplicaSet."""
    ip: str
    template: str
    """Pod-template hash that the Deployment controller gave it."""
    rendered: str
    """Hash of the operator's own template that it was made from: the same as its Deployment's, or an earlier one."""
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
    was_ready: bool
    """It is ready, or was once."""
    restarts: int
    failed_starts: int
    """How often its engine ended before it was ever ready; 0 once it was."""
    deletion_cost: int
    stage: Reason
    """UNSCHEDULABLE, PULLING_IMAGE, LOADING, COMPLETE once ready; all others are failures."""
    detail: str
    """The sentence to the stage."""
    failure: Failure | None
    """Why its engine ended last, if it was never ready or does not stay up."""


def view_pod(body: Body, _: "PodView | None" = None) -> PodView:
    """Read a pod."""
    meta, status = body["metadata"], body.get("status") or {}
    ready = stages.condition(status, "Ready")
    engine = stages.engine(status)
    stage = stages.stage(status)
    owner: Body = next((r for r in meta.get("ownerReferences") or [] if r.get("controller")), {})
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        owner=owner.get("uid", ""),
        owner_name=owner.get("name", ""),
        ip=status.get("podIP", ""),
        template=(meta.get("labels") or {}).get("pod-template-hash", ""),
        rendered=(meta.get("annotations") or {}).get(RENDERED_HASH, ""),
        ready=ready.get("status") == "True",
        terminating="deletionTimestamp" in meta,
        finished=status.get("phase") in {"Succeeded", "Failed"},
        created_at=stages.seconds(meta.get("creationTimestamp")),
        started_at=stages.seconds(((engine.get("state") or {}).get("running") or {}).get("startedAt")),
        ready_since=stages.seconds(ready.get("lastTransitionTime")) if ready.get("status") == "True" else 0.0,
        was_ready=stages.was_ready(status),
        restarts=engine.get("restartCount", 0),
        failed_starts=stages.failed_starts(status),
        deletion_cost=_deletion_cost(meta),
        stage=stage.reason,
        detail=stage.detail,
        failure=stage.failure,
    )


def _deletion_cost(meta: Body) -> int:
    try:
        return int((meta.get("annotations") or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0  # somebody wrote something else there: Kubernetes counts that as 0 too


def is_replica(pod: PodView, deployment: str) -> bool:
    """Whether the pod was made by a ReplicaSet of that Deployment.

    Anybody who may make pods in the namespace can give one our label. Such a pod is no replica: it is not scraped, not
    counted, and neither annotated nor deleted. (A pod with a forged reference to a ReplicaSet is not left standing by
    Kubernetes itself: with the wrong uid it is garbage, with the right one a surplus replica.)
    """
    return pod.owner_name == f"{deployment}-{pod.template}"


_WAITING = (Reason.UNSCHEDULABLE, Reason.PULLING_IMAGE, Reason.LOADING)
"""What goes by itself, the worst first."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What holds up the pods that are not ready."""

    stage: Reason
    message: str
    restarted: bool
    """One of them has run before: something broke, rather than starts."""
    failure: Failure | None = None

    @property
    def is_stuck(self) -> bool:
        """It is a failure, not a step of the way."""
        return self.stage not in _WAITING


def obstacle(pods: Iterable[PodView]) -> Obstacle | None:
    """The worst stage of the live pods that are not ready, with how many are in it; None if there are none."""
    waiting = [pod for pod in pods if not pod.ready and not pod.terminating]
    if not waiting:
        return None
    first = min(waiting, key=lambda pod: (_order(pod.stage), -pod.created_at))
    here = [pod for pod in waiting if pod.stage is first.stage]
    count = f"{len(here)} of {len(waiting)} waiting pods: " if len(waiting) > 1 else ""
    is_restarted = any(pod.restarts for pod in waiting)
    return Obstacle(first.stage, f"{count}{first.name}: {first.detail}", is_restarted, first.failure)


def _order(stage: Reason) -> int:
    return _WAITING.index(stage) + 1 if stage in _WAITING else 0
