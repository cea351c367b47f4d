"""Container states of a pod -> how far it has come, and why it fails. Pure.

What the kubelet says (waiting reasons, the last end, an eviction) is put into the engine's terms by `engine.failures`.
Which part of a start an engine is in (downloading, loading, compiling) stands in its log alone, which the operator has
no right to read: all of it is Loading.
"""

from datetime import datetime
from typing import NamedTuple

from llmfleet.api.conditions import Reason
from llmfleet.engine.failures import Failure, Kind, explain
from llmfleet.kube.resources import Body

IMAGE_WAITING = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
"""Reasons of a container that waits for an image which does not come, as the kubelet spells them; so are the others."""
REFUSED_WAITING = frozenset({"CreateContainerError", "RunContainerError"})
"""The runtime cannot start it; the message has the runtime's words."""
CRASH_LOOP = "CrashLoopBackOff"
CONFIGURATION_WAITING = "CreateContainerConfigError"

RESTARTS_STUCK = 2
"""Restarts without ever becoming ready from which a start counts as stuck, also while the engine tries again."""
READY_SKEW = 1.0
"""Seconds by which the times that the kubelet gives to one and the same moment may differ."""
MESSAGE_LENGTH = 700
START_ERROR = 128
"""Exit code of a container that could not be started."""


class Stage(NamedTuple):
    """Where a pod stands."""

    reason: Reason
    detail: str
    """The sentence to it."""
    failure: Failure | None = None
    """Why its engine ended last; None if it has not, or became ready since."""


def stage(status: Body) -> Stage:
    """Where the pod stands; checks in the order of a pod's life."""
    for check in (_ready, _failed, _unscheduled, _refused, _ended, _pulling):
        if found := check(status):
            return found
    ended = _last_failure(engine(status)) if not was_ready(status) else None
    return Stage(Reason.LOADING, "the engine loads the model", ended)


def engine(status: Body) -> Body:
    """The first container: manifests put the engine there."""
    return next(iter(status.get("containerStatuses") or []), {})


def was_ready(status: Body) -> bool:
    """Whether the pod is ready, or was once.

    The kubelet gives the condition Ready its first time when it first sees the pod, as it does to startTime, and a new
    one only when the condition changes. So this survives a restart of the operator, which may not have seen it.
    """
    ready = condition(status, "Ready")
    if ready.get("status") == "True":
        return True
    changed, began = seconds(ready.get("lastTransitionTime")), seconds(status.get("startTime"))
    return bool(began) and changed - began > READY_SKEW


def failed_starts(status: Body) -> int:
    """How often the engine, or the pod as a whole, failed before it was ever ready."""
    if was_ready(status):
        return 0
    container = engine(status)
    is_down = "running" not in (container.get("state") or {}) and _last_end(container) is not None
    count = int(container.get("restartCount", 0)) + is_down
    return max(count, int(status.get("phase") == "Failed"))


def condition(status: Body, kind: str) -> Body:
    """A condition of the pod; empty if there is none."""
    return next((c for c in status.get("conditions") or [] if c["type"] == kind), {})


def seconds(time: str | None) -> float:
    """RFC 3339 -> Unix time; 0 for none."""
    return datetime.fromisoformat(time).timestamp() if time else 0.0


def _ready(status: Body) -> Stage | None:
    """It answers."""
    return Stage(Reason.COMPLETE, "") if condition(status, "Ready").get("status") == "True" else None


def _failed(status: Body) -> Stage | None:
    """Evicted, refused by the node, or ended."""
    if status.get("phase") != "Failed":
        return None
    why, words = status.get("reason", ""), status.get("message", "")
    failure = _explained_by_node(why, words) or _last_failure(engine(status))
    return (
        Stage(failure.reason, _told(failure), failure)
        if failure
        else Stage(Reason.STUCK, _sentence(why or "Failed", words))
    )


def _explained_by_node(why: str, words: str) -> Failure | None:
    """What a node means that put the pod out."""
    if not why:
        return None
    quoted = _sentence(why, words.rstrip(" .")) + "."
    if "ephemeral" in words or "EmptyDir" in words:
        remedy = "Raise spec.resources.limits.ephemeral-storage, or keep the model on a volume (spec.cache)."
        return Failure(reason=Reason.DISK_FULL, sentence=quoted, remedy=remedy, kind=Kind.PERMANENT)
    if why == "UnexpectedAdmissionError":
        remedy = "The administrator has to look at the node's devices; another node may do."
        return Failure(reason=Reason.GPU_UNAVAILABLE, sentence=quoted, remedy=remedy, kind=Kind.ENVIRONMENT)
    return Failure(reason=Reason.EVICTED, sentence=quoted, remedy="", kind=Kind.TRANSIENT)


def _unscheduled(status: Body) -> Stage | None:
    """No node takes it."""
    scheduled = condition(status, "PodScheduled")
    if scheduled.get("status") != "False":
        return None
    return Stage(Reason.UNSCHEDULABLE, _sentence(scheduled.get("message", "no node takes the pod")))


def _refused(status: Body) -> Stage | None:
    """A container cannot be started: no image, no Secret, or no such command."""
    for container in containers(status):
        waiting = (container.get("state") or {}).get("waiting") or {}
        why, words = waiting.get("reason", ""), waiting.get("message", "")
        if why in IMAGE_WAITING:
            return Stage(Reason.IMAGE_UNUSABLE, _sentence(why, words))
        if why == CONFIGURATION_WAITING:
            return Stage(Reason.CONFIGURATION_MISSING, _sentence(why, words))
        if why in REFUSED_WAITING:
            failure = explain(START_ERROR, why, words)
            return Stage(failure.reason, f"{_told(failure)}{_restarts(container)}", failure)
    return None


def _ended(status: Body) -> Stage | None:
    """A container does not stay up."""
    for container in containers(status):
        failure, waiting = _last_failure(container), (container.get("state") or {}).get("waiting") or {}
        if failure is None or container.get("ready"):
            continue
        is_loop = waiting.get("reason") == CRASH_LOOP
        if is_loop or (not was_ready(status) and _is_hopeless(container, failure)):
            which = "" if container.get("name") == engine(status).get("name") else f"container {container['name']}: "
            return Stage(failure.reason, f"{which}{_told(failure)}{_restarts(container)}", failure)
    return None


def _is_hopeless(container: Body, failure: Failure) -> bool:
    """Whether the next try will hardly do better, although it runs."""
    certain = 1 if failure.kind is Kind.PERMANENT and failure.reason is not Reason.STUCK else RESTARTS_STUCK
    return int(container.get("restartCount", 0)) >= certain


def _pulling(status: Body) -> Stage | None:
    """Scheduled, but no container has started: the image is on its way."""
    here = containers(status)
    if all("running" not in (c.get("state") or {}) and _last_end(c) is None for c in here):
        image = here[-1].get("image", "") if here else ""
        return Stage(Reason.PULLING_IMAGE, f"the node pulls {image}" if image else "the node prepares the pod")
    return None


def _last_end(container: Body) -> Body | None:
    """How a container ended last."""
    now, last = container.get("state") or {}, container.get("lastState") or {}
    ended: Body | None = now.get("terminated") or last.get("terminated")
    return ended


def _last_failure(container: Body) -> Failure | None:
    """Why a container ended last."""
    ended = _last_end(container)
    if ended is None:
        return None
    return explain(ended.get("exitCode", 0), ended.get("reason") or "", ended.get("message") or "")


def _told(failure: Failure) -> str:
    return _sentence(failure.words)


def _restarts(container: Body) -> str:
    """The numbers to it."""
    ended = _last_end(container)
    code = f", last exit code {ended.get('exitCode')}" if ended else ""
    return f" (restarts: {container.get('restartCount', 0)}{code})"


def _sentence(*parts: str) -> str:
    return ": ".join(part.strip() for part in parts if part)[:MESSAGE_LENGTH]


def containers(status: Body) -> list[Body]:
    """All of the pod."""
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
