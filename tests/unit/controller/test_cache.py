"""What the cache puts together of one object."""

from llmfleet.controller.cache import Cache
from tests.unit.controller.bodies import counts, running
from tests.unit.kube.bodies import UID, llm_body, pod_body

KEY = ("team", "qwen")


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


def test_an_object_that_is_gone_is_not_observed() -> None:
    cache, body = Cache(), llm_body()
    cache.pods.put(pod_body())
    cache.objects.put(body)
    cache.objects.remove(body)
    assert cache.observe(KEY) is None
