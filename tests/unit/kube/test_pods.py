"""From a pod's body to where it stands, in words that say what to do."""

from typing import Any

import pytest

from llmfleet.api.conditions import Reason
from llmfleet.kube.pods import obstacle, view_pod
from llmfleet.kube.stages import seconds
from llmfleet.scaling.clock import rfc3339
from tests.unit.kube.bodies import NOON, container, pod_body

KILLED = {"exitCode": 137, "reason": "OOMKilled"}
KERNELS = {
    "exitCode": 1,
    "reason": "Error",
    "message": "RuntimeError: no kernel image is available for execution on the device",
}
UNKNOWN = {"exitCode": 1, "reason": "Error", "message": "FooError: bar"}
DIED = {"exitCode": 0, "reason": "Completed"}
NO_KERNELS = (
    "The image holds no kernels for this kind of GPU. Choose another spec.gpu.profile, or set spec.engine.image to a "
    "vLLM that supports the GPU."
)
NO_VLLM = (
    "There is no `vllm` in the image. Set spec.engine.image to an image of vLLM's server for the node's architecture. "
    "(restarts: 0)"
)
NO_HOST_MEMORY = (
    "The container used more memory of the host than its limit allows and was killed (OOMKilled, code 137). Raise "
    "spec.resources.limits.memory; it has to hold the engine's processes, /dev/shm and offloaded weights. "
    "(restarts: 3, last exit code 137)"
)
NO_DISK = (
    "Evicted: Pod ephemeral local storage usage exceeds the total limit of containers 50Gi. Raise "
    "spec.resources.limits.ephemeral-storage, or keep the model on a volume (spec.cache)."
)
NO_DEVICES = (
    "UnexpectedAdmissionError: Allocate failed due to requested number of devices. The administrator has to look at "
    "the node's devices; another node may do."
)
NO_COMMAND = 'failed to create task: exec: "vllm": executable file not found in $PATH: unknown'
LOADING = "the engine loads the model"


def waiting(reason: str, message: str = "", **more: Any) -> list[dict[str, Any]]:
    return [container(waiting={"reason": reason, "message": message}, **more)]


def unscheduled(message: str) -> list[dict[str, str]]:
    return [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]


def went_down() -> list[dict[str, str]]:
    """Conditions of a pod that was ready once."""
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": NOON}
    return [scheduled, {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-22T12:05:00Z"}]


def lost(reason: str, message: str) -> dict[str, Any]:
    return {"phase": "Failed", "reason": reason, "message": message, "containerStatuses": []}


INIT = {
    "initContainerStatuses": [
        container(waiting={"reason": "CrashLoopBackOff"}, last=UNKNOWN, restarts=1) | {"name": "fetch"}
    ],
    "containerStatuses": waiting("PodInitializing"),
}

TABLE = [
    (
        {"phase": "Pending", "conditions": unscheduled("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")},
        Reason.UNSCHEDULABLE,
        "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    ),
    (
        {"phase": "Pending", "containerStatuses": waiting("ContainerCreating")},
        Reason.PULLING_IMAGE,
        "the node pulls vllm:v1",
    ),
    ({"phase": "Pending", "containerStatuses": []}, Reason.PULLING_IMAGE, "the node prepares the pod"),
    (
        {"phase": "Pending", "containerStatuses": waiting("ImagePullBackOff", "Back-off pulling image: not found")},
        Reason.IMAGE_UNUSABLE,
        "ImagePullBackOff: Back-off pulling image: not found",
    ),
    (
        {"phase": "Pending", "containerStatuses": waiting("CreateContainerConfigError", 'secret "key" not found')},
        Reason.CONFIGURATION_MISSING,
        'CreateContainerConfigError: secret "key" not found',
    ),
    (
        {"containerStatuses": waiting("RunContainerError", NO_COMMAND)},
        Reason.IMAGE_UNUSABLE,
        NO_VLLM,
    ),
    (
        {"containerStatuses": waiting("CrashLoopBackOff", "back-off 20s", restarts=1, last=KERNELS)},
        Reason.GPU_UNAVAILABLE,
        f"{NO_KERNELS} (restarts: 1, last exit code 1)",
    ),
    (
        {"containerStatuses": waiting("CrashLoopBackOff", restarts=3, last=KILLED)},
        Reason.HOST_MEMORY_EXHAUSTED,
        NO_HOST_MEMORY,
    ),
    (
        {"containerStatuses": [container(restarts=1, last=KERNELS)]},
        Reason.GPU_UNAVAILABLE,
        f"{NO_KERNELS} (restarts: 1, last exit code 1)",
    ),
    (
        {"containerStatuses": [container(restarts=2, last=UNKNOWN)]},
        Reason.STUCK,
        "The engine ended with code 1. Its last words: FooError: bar (restarts: 2, last exit code 1)",
    ),
    ({"containerStatuses": [container(restarts=1, last=UNKNOWN)]}, Reason.LOADING, LOADING),
    ({"containerStatuses": [container(restarts=1, last=DIED)]}, Reason.LOADING, LOADING),
    (
        {"containerStatuses": [container(restarts=5, last=KERNELS)], "conditions": went_down(), "startTime": NOON},
        Reason.LOADING,
        LOADING,
    ),
    ({}, Reason.LOADING, LOADING),
    (
        INIT,
        Reason.STUCK,
        "container fetch: The engine ended with code 1. Its last words: FooError: bar (restarts: 1, last exit code 1)",
    ),
    (
        lost("Evicted", "The node was low on resource: memory."),
        Reason.EVICTED,
        "Evicted: The node was low on resource: memory.",
    ),
    (
        lost("Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 50Gi."),
        Reason.DISK_FULL,
        NO_DISK,
    ),
    (
        lost("UnexpectedAdmissionError", "Allocate failed due to requested number of devices"),
        Reason.GPU_UNAVAILABLE,
        NO_DEVICES,
    ),
    (lost("", ""), Reason.STUCK, "Failed"),
]


@pytest.mark.parametrize(("status", "stage", "detail"), TABLE)
def test_stage(status: dict[str, Any], stage: Reason, detail: str) -> None:
    view = view_pod(pod_body(**status))
    assert (view.stage, view.detail) == (stage, detail)


def test_a_ready_pod_is_complete_and_has_its_times() -> None:
    view = view_pod(pod_body(ready=True))
    assert (view.stage, view.ready) == (Reason.COMPLETE, True)
    assert view.ready_since - view.started_at == 50


@pytest.mark.parametrize(("text", "cost"), [("-3", -3), ("much", 0)])
def test_deletion_cost(text: str, cost: int) -> None:
    body = pod_body()
    body["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": text}
    assert view_pod(body).deletion_cost == cost


def test_the_worst_stage_of_all_pods_is_told_with_their_number() -> None:
    pods = [
        view_pod(pod_body("ok", ready=True)),
        view_pod(pod_body("loading")),
        view_pod(pod_body("bad", containerStatuses=waiting("ErrImagePull", "denied"))),
    ]
    found = obstacle(pods)
    assert found is not None
    assert (found.stage, found.message) == (Reason.IMAGE_UNUSABLE, "1 of 2 waiting pods: bad: ErrImagePull: denied")
    assert not found.restarted
    assert found.is_stuck


def test_nothing_holds_up_ready_or_leaving_pods() -> None:
    assert obstacle([view_pod(pod_body(ready=True)), view_pod(pod_body(deleting=True))]) is None


@pytest.mark.parametrize(
    ("status", "count"),
    [
        ({}, 0),
        ({"containerStatuses": [container(terminated=KERNELS)]}, 1),
        ({"containerStatuses": [container(restarts=1, last=KERNELS)]}, 1),
        ({"containerStatuses": waiting("CrashLoopBackOff", restarts=1, last=KERNELS)}, 2),
        ({"containerStatuses": waiting("CrashLoopBackOff", restarts=4, last=KERNELS)}, 5),
        ({"containerStatuses": waiting("ImagePullBackOff")}, 0),
        (lost("Evicted", "no memory"), 1),
        ({"containerStatuses": [container(restarts=4, last=KERNELS)], "conditions": went_down(), "startTime": NOON}, 0),
    ],
)
def test_failed_starts_are_counted_until_the_pod_is_ready_once(status: dict[str, Any], count: int) -> None:
    """Whatever happens later is no failed start, also for an operator that was not there to see it ready."""
    view = view_pod(pod_body(**status))
    assert view.failed_starts == count
    assert (view.failure is not None) == bool(count)


def test_times_there_and_back() -> None:
    assert rfc3339(seconds("2026-11-22T12:00:01Z")) == "2026-11-22T12:00:01Z"
    assert seconds(None) == 0.0
