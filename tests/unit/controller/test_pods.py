"""From a pod's body to where it stands, in words that say what to do."""

from typing import Any

import pytest

from llmfleet.api.conditions import Reason
from llmfleet.controller.pods import hold, view_pod
from tests.unit.controller.bodies import container, pod_body

KILLED = {"exitCode": 137, "reason": "OOMKilled"}
CRASHED = {"exitCode": 1, "reason": "Error", "message": "RuntimeError: no kernel image for this device"}


def waiting(reason: str, message: str = "", **more: Any) -> list[dict[str, Any]]:
    return [container(waiting={"reason": reason, "message": message}, **more)]


def unscheduled(message: str) -> list[dict[str, str]]:
    return [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]


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
        Reason.STUCK,
        "ImagePullBackOff: Back-off pulling image: not found",
    ),
    (
        {"phase": "Pending", "containerStatuses": waiting("CreateContainerConfigError", 'secret "key" not found')},
        Reason.STUCK,
        'CreateContainerConfigError: secret "key" not found',
    ),
    (
        {"containerStatuses": waiting("CrashLoopBackOff", "back-off 20s", restarts=1, last=CRASHED)},
        Reason.STUCK,
        "CrashLoopBackOff; restarts: 1, last exit code 1: RuntimeError: no kernel image for this device",
    ),
    (
        {"containerStatuses": waiting("CrashLoopBackOff", restarts=3, last=KILLED)},
        Reason.STUCK,
        "CrashLoopBackOff; restarts: 3, last exit code 137 (OOMKilled)",
    ),
    (
        {"containerStatuses": [container(restarts=2, last=KILLED)]},
        Reason.STUCK,
        "the container engine does not become ready; restarts: 2, last exit code 137 (OOMKilled)",
    ),
    ({"containerStatuses": [container(restarts=1, last=CRASHED)]}, Reason.LOADING, "the engine loads the model"),
    ({}, Reason.LOADING, "the engine loads the model"),
    (
        {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
        Reason.STUCK,
        "Evicted: The node was low on resource: memory.",
    ),
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
    found = hold(pods)
    assert found is not None
    assert (found.stage, found.message) == (Reason.STUCK, "1 of 2 waiting pods: bad: ErrImagePull: denied")
    assert not found.restarted


def test_nothing_holds_up_ready_or_leaving_pods() -> None:
    assert hold([view_pod(pod_body(ready=True)), view_pod(pod_body(deleting=True))]) is None
