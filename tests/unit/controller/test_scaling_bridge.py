"""What the autoscaler is told of, and where its reports go."""

from typing import Any

import pytest

from llmfleet.api.status import ScalingStatus
from llmfleet.controller.cache import Cache
from llmfleet.controller.queue import WorkQueue
from llmfleet.controller.reconcile import Reconciler
from llmfleet.controller.scaling_bridge import CachedDirectory, Reporter
from llmfleet.scaling.fleet import Totals
from llmfleet.scaling.loop import Report
from llmfleet.scaling.policy import Decision
from llmfleet.scaling.ports import ObjectRef, ScaledObject
from tests.unit.controller.bodies import NOON, UID, counts, llm_body, pod_body, running

KEY = ("team", "qwen")
SCALED: dict[str, Any] = {"scaling": {"minReplicas": 2, "maxReplicas": 4}, "replicas": 3}
CHANGE = {"time": NOON, "from": 1, "to": 3, "reason": "memory", "message": "KV 80%"}


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def reconciler(cache: Cache) -> Reconciler:
    nothing: Any = None
    found = Reconciler(
        cache=cache, cluster=nothing, applier=nothing, settings=nothing, recorder=nothing, startups=nothing
    )
    found.visited.add(KEY)
    return found


def directory(cache: Cache, reconciler: Reconciler) -> list[ScaledObject]:
    return list(CachedDirectory(cache, reconciler).objects())


def test_a_scaled_object_with_its_pods(cache: Cache, reconciler: Reconciler) -> None:
    target = llm_body(status={"scaling": {"history": [CHANGE]}}, **SCALED)
    failure = {"type": "ReplicaFailure", "status": "True", "message": "pods forbidden: exceeded quota: gpus"}
    cache.objects.put(target)
    cache.deployments.put(
        running(target, status=counts(current=3, updated=3, ready=1) | {"conditions": [failure]})["Deployment"]
    )
    cache.pods.put(pod_body("a", ready=True, podIP="10.0.0.1"))
    cache.pods.put(pod_body("b", conditions=[{"type": "PodScheduled", "status": "False", "message": "no room"}]))
    cache.pods.put(pod_body("evicted", phase="Failed"))
    (found,) = directory(cache, reconciler)
    assert found.ref == ObjectRef("team", "qwen", UID)
    assert (found.config.min_replicas, found.config.max_replicas, found.replicas) == (2, 4, 3)
    assert (found.resource_version, found.suspended) == ("1", False)
    assert found.quota_exceeded == "pods forbidden: exceeded quota: gpus"
    assert [(pod.name, pod.ip, pod.ready, pod.unschedulable) for pod in found.pods] == [
        ("a", "10.0.0.1", True, False),
        ("b", "", False, True),
    ]
    assert [(change.before, change.after) for change in found.history] == [(1, 3)]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(llm_body(), id="not scaled"),
        pytest.param(llm_body(scaling={"maxReplicas": "many"}), id="not readable"),
        pytest.param(
            llm_body(uid="1", **SCALED) | {"metadata": {**llm_body()["metadata"], "deletionTimestamp": NOON}},
            id="leaving",
        ),
    ],
)
def test_others_are_left_out(cache: Cache, reconciler: Reconciler, body: dict[str, Any]) -> None:
    cache.objects.put(body)
    assert directory(cache, reconciler) == []


def test_nothing_is_told_of_what_is_not_wholly_known_yet(cache: Cache, reconciler: Reconciler) -> None:
    cache.objects.put(llm_body(**SCALED))
    reconciler.visited.clear()
    assert directory(cache, reconciler) == []


async def test_a_report_is_kept_for_the_object_that_it_is_about(cache: Cache, reconciler: Reconciler) -> None:
    queue = WorkQueue()
    cache.objects.put(llm_body(**SCALED))
    totals = Totals(ready=1, observed=1, kv_cache_tokens=8192)
    decision = Decision(current=3, wanted=3, reason="Scaling", message="", totals=totals)  # type: ignore[arg-type]
    report = Report(ScalingStatus(desired_replicas=3), decision)
    reporter = Reporter(cache, reconciler, queue)
    reporter(ObjectRef("team", "qwen", "another uid"), report)
    assert reconciler.reports == {}
    reporter(ObjectRef("team", "qwen", UID), report)
    assert reconciler.reports[KEY].kv_cache_tokens == 8192
    assert KEY in queue.schedule.due
