"""How long the last start took."""

from llmfleet.controller.pods import PodView, view_pod
from llmfleet.controller.startups import Startups
from tests.unit.controller.bodies import container, pod_body

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
