"""What the caches hold after watches, answers to writes, deletions and gaps, in any order."""

from typing import Any

from llmfleet.controller.cache import Cache
from tests.unit.controller.bodies import UID, counts, llm_body, pod_body, running

KEY = ("team", "qwen")


def at(body: dict[str, Any], version: int, **meta: Any) -> dict[str, Any]:
    return body | {"metadata": body["metadata"] | {"resourceVersion": str(version)} | meta}


def test_only_what_is_newer_counts_and_only_what_matters_is_a_change() -> None:
    cache, body = Cache(), llm_body()
    assert cache.objects.put(at(body, 5))
    assert not cache.objects.put(at(body, 4) | {"spec": {"replicas": 9}})
    assert not cache.objects.put(at(body, 6))
    assert cache.objects.put(at(body, 7) | {"status": {"ready": "1/1"}})
    view = cache.objects.newest(KEY)
    assert view is not None
    assert (view.version, view.spec, view.status) == (7, body["spec"], {"ready": "1/1"})


def test_a_late_answer_does_not_bring_back_what_was_deleted() -> None:
    cache, body = Cache(), llm_body()
    cache.objects.put(at(body, 5))
    cache.objects.remove(at(body, 8))
    assert not cache.objects.put(at(body, 7))
    assert cache.observe(KEY) is None
    assert cache.objects.items == {}


def test_what_lost_our_label_comes_back_with_it() -> None:
    """The watch tells of a lost label as of a deletion."""
    cache, body = Cache(), pod_body()
    cache.pods.put(at(body, 5))
    cache.pods.remove(at(body, 8))
    assert cache.pods.put(at(body, 9))


def test_an_object_made_anew_is_the_one_that_counts() -> None:
    cache = Cache()
    cache.objects.put(at(llm_body(), 5))
    cache.objects.put(at(llm_body(uid="new"), 9))
    observed = cache.observe(KEY)
    assert observed is not None
    assert observed.target.uid == "new"
    cache.objects.remove(at(llm_body(), 8))
    assert cache.objects.uids() == {"new"}


def test_a_gap_in_a_watch_is_closed_by_a_list() -> None:
    """What was known before the list and is not in it is gone; what came meanwhile stays."""
    cache = Cache()
    for name in ("kept", "lost"):
        cache.pods.put(pod_body(name))
    known = cache.pods.uids()
    cache.pods.put(pod_body("fresh"))
    assert cache.pods.retain({"uid-kept"}, known_before=known) == [KEY]
    assert cache.pods.uids() == {"uid-kept", "uid-fresh"}


def test_a_pod_that_only_has_our_label_is_no_replica() -> None:
    """Somebody's own pod, another controller's, one of a ReplicaSet of another name."""
    cache = Cache()
    cache.objects.put(llm_body())
    cache.pods.put(pod_body("real"))
    owner = pod_body()["metadata"]["ownerReferences"][0]
    for name, owners in (
        ("bare", []),
        ("of-a-job", [owner | {"kind": "Job", "name": "qwen"}]),
        ("of-another", [owner | {"name": "other-abc"}]),
        ("not-controlled", [owner | {"controller": False}]),
    ):
        body = pod_body(name)
        cache.pods.put(body | {"metadata": body["metadata"] | {"ownerReferences": owners}})
    observed = cache.observe(KEY)
    assert observed is not None
    assert [pod.name for pod in observed.pods] == ["real"]


def test_observe_puts_together_what_belongs_together() -> None:
    cache, children = Cache(), running(llm_body(), status=counts(current=2, updated=1, ready=1))
    cache.objects.put(llm_body())
    cache.deployments.put(children["Deployment"])
    cache.services.put(children["Service"])
    cache.budgets.put(children["PodDisruptionBudget"])
    for name in ("a", "b"):
        cache.pods.put(pod_body(name))
    observed = cache.observe(KEY)
    assert observed is not None
    assert observed.deployment is not None
    live = observed.deployment
    assert (live.owner, live.wanted, live.current, live.updated, live.ready) == (UID, 1, 2, 1, 1)
    assert live.template_hash == live.own_template_hash
    assert observed.child("Service") is observed.service
    assert observed.child("PodDisruptionBudget") is observed.pdb
    assert sorted(pod.name for pod in observed.pods) == ["a", "b"]
