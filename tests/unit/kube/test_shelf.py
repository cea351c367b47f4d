"""What a shelf holds after watches, answers to writes, deletions and gaps, in any order."""

from typing import Any

from llmfleet.kube.objects import ObjectView, view_object
from llmfleet.kube.pods import PodView, view_pod
from llmfleet.kube.shelf import Shelf, label_key, own_key
from tests.unit.kube.bodies import llm_body, pod_body

KEY = ("team", "qwen")


def objects() -> Shelf[ObjectView]:
    return Shelf(view_object, own_key)


def pods() -> Shelf[PodView]:
    return Shelf(view_pod, label_key)


def at(body: dict[str, Any], version: int, **meta: Any) -> dict[str, Any]:
    return body | {"metadata": body["metadata"] | {"resourceVersion": str(version)} | meta}


def test_only_what_is_newer_counts_and_only_what_matters_is_a_change() -> None:
    shelf, body = objects(), llm_body()
    assert shelf.put(at(body, 5))
    assert not shelf.put(at(body, 4) | {"spec": {"replicas": 9}})
    assert not shelf.put(at(body, 6))
    assert shelf.put(at(body, 7) | {"status": {"ready": "1/1"}})
    view = shelf.newest(KEY)
    assert view is not None
    assert (view.version, view.spec, view.status) == (7, body["spec"], {"ready": "1/1"})


def test_a_late_answer_does_not_bring_back_what_was_deleted() -> None:
    shelf, body = objects(), llm_body()
    shelf.put(at(body, 5))
    shelf.remove(at(body, 8))
    assert not shelf.put(at(body, 7))
    assert shelf.newest(KEY) is None
    assert shelf.items == {}


def test_what_lost_our_label_comes_back_with_it() -> None:
    """The watch tells of a lost label as of a deletion."""
    shelf, body = pods(), pod_body()
    shelf.put(at(body, 5))
    shelf.remove(at(body, 8))
    assert shelf.put(at(body, 9))


def test_an_object_made_anew_is_the_one_that_counts() -> None:
    shelf = objects()
    shelf.put(at(llm_body(), 5))
    shelf.put(at(llm_body(uid="new"), 9))
    view = shelf.newest(KEY)
    assert view is not None
    assert view.uid == "new"
    shelf.remove(at(llm_body(), 8))
    assert shelf.uids() == {"new"}


def test_a_gap_in_a_watch_is_closed_by_a_list() -> None:
    """What was known before the list and is not in it is gone; what came meanwhile stays."""
    shelf = pods()
    for name in ("kept", "lost"):
        shelf.put(pod_body(name))
    known = shelf.uids()
    shelf.put(pod_body("fresh"))
    assert shelf.retain({"uid-kept"}, known_before=known) == [KEY]
    assert shelf.uids() == {"uid-kept", "uid-fresh"}
