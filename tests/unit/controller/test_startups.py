"""How long the last start took, and how many failed."""

from prometheus_client import CollectorRegistry, Counter

from llmfleet.controller.startups import FailedStarts, Restarts, Startups
from llmfleet.kube.pods import PodView, view_pod
from tests.unit.kube.bodies import NOON, container, pod_body

KEY = ("team", "qwen")
READY_AT = 1795348860.0  # 2026-11-22T12:01:00Z


def pod(name: str = "a", *, ready: bool = True, started: str = "2026-11-22T12:00:10Z") -> PodView:
    return view_pod(pod_body(name, ready=ready, containerStatuses=[container(running={"startedAt": started})]))


def test_a_start_is_measured_when_it_ends() -> None:
    startups = Startups(since=READY_AT - 100)
    assert startups.note(KEY, [pod(ready=False)], of_any_age=False) is None
    assert startups.note(KEY, [pod()], of_any_age=False) == 50
    assert startups.note(KEY, [pod(), pod("b", started="2026-11-22T12:00:50Z")], of_any_age=False) == 10


def test_a_flicker_is_no_start_but_a_restarted_container_is() -> None:
    startups = Startups(since=READY_AT - 100)
    startups.note(KEY, [pod()], of_any_age=False)
    startups.note(KEY, [pod(ready=False)], of_any_age=False)
    assert startups.note(KEY, [pod(), pod("b", ready=False)], of_any_age=False) == 50
    assert startups.note(KEY, [pod(started="2026-11-22T12:00:40Z")], of_any_age=False) == 20


def test_what_was_ready_before_this_process_counts_only_if_nothing_is_known() -> None:
    assert Startups(since=READY_AT + 100).note(KEY, [pod()], of_any_age=False) is None
    assert Startups(since=READY_AT + 100).note(KEY, [pod()], of_any_age=True) == 50


def test_a_deleted_object_leaves_nothing() -> None:
    startups = Startups(since=READY_AT - 100)
    startups.note(KEY, [pod()], of_any_age=False)
    startups.forget(KEY)
    assert startups.note(KEY, [], of_any_age=False) is None


def crashing(times: int, *, created: str = NOON) -> PodView:
    end = {"exitCode": 1, "reason": "Error", "message": "RuntimeError: No CUDA GPUs are available"}
    state = container(waiting={"reason": "CrashLoopBackOff"}, restarts=times - 1, last=end)
    body = pod_body("a", containerStatuses=[state])
    body["metadata"]["creationTimestamp"] = created
    return view_pod(body)


def counted(registry: CollectorRegistry) -> float | None:
    labels = {"namespace": "team", "name": "qwen", "reason": "GPUUnavailable"}
    return registry.get_sample_value("failures_total", labels)


def test_failed_starts_are_counted_once_each() -> None:
    """What failed before this process looked was counted by the one before; a deleted object has no series."""
    registry = CollectorRegistry()
    counter = Counter("failures", "Failed starts.", ["namespace", "name", "reason"], registry=registry)
    failed = FailedStarts(since=view_pod(pod_body()).created_at, counter=counter)
    for times in (1, 1, 3):
        failed.note(KEY, [crashing(times)])
    assert counted(registry) == 3
    failed.note(("team", "other"), [crashing(7, created="2026-11-22T11:00:00Z")])
    failed.note(KEY, [])
    assert counted(registry) == 3
    failed.forget(KEY)
    assert counted(registry) is None


def test_restarts_are_counted_once_each() -> None:
    """From zero, so that the first one is a rise; a deleted object has no series."""
    registry = CollectorRegistry()
    restarts = Restarts(
        since=view_pod(pod_body()).created_at,
        counter=Counter("restarts", "Restarts.", ["namespace", "name"], registry=registry),
    )

    def seen() -> float | None:
        return registry.get_sample_value("restarts_total", {"namespace": "team", "name": "qwen"})

    for failures, total in ((1, 0), (2, 1), (2, 1), (4, 3)):
        restarts.note(KEY, [crashing(failures)])
        assert seen() == total
    restarts.note(KEY, [])
    assert seen() == 3
    restarts.forget(KEY)
    assert seen() is None


def test_restarts_of_before_are_not_counted_again() -> None:
    registry = CollectorRegistry()
    counter = Counter("restarts", "Restarts.", ["namespace", "name"], registry=registry)
    Restarts(since=view_pod(pod_body()).created_at, counter=counter).note(
        KEY, [crashing(7, created="2026-11-22T11:00:00Z")]
    )
    assert registry.get_sample_value("restarts_total", {"namespace": "team", "name": "qwen"}) == 0
