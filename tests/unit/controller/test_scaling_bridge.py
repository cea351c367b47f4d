"""What the autoscaler is told of, and where its reports go."""

from dataclasses import replace
from typing import Any

import pytest

from llmfleet.api.settings import Settings
from llmfleet.api.status import ScalingStatus
from llmfleet.controller.cache import Cache
from llmfleet.controller.queue import WorkQueue
from llmfleet.controller.reconcile import Reconciler
from llmfleet.controller.scaling_bridge import CachedDirectory, ClusterActuator, Reporter
from llmfleet.engine.speed import UNKNOWN
from llmfleet.kube.errors import ConflictError, GoneError
from llmfleet.manifests.hashing import inputs_hash
from llmfleet.scaling.ports import Conflict, EngineFacts, Hardware, ObjectRef, PodRef, WatchedObject
from llmfleet.scaling.report import Report
from tests.unit.controller.bodies import SETTINGS, counts, parsed, running
from tests.unit.kube.bodies import NOON, UID, llm_body, pod_body

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
        cache=cache,
        cluster=nothing,
        applier=nothing,
        settings=SETTINGS,
        recorder=nothing,
        startups=nothing,
        settled=nothing,
        failed_starts=nothing,
        restarts=nothing,
    )
    found.visited.add(KEY)
    return found


def directory(cache: Cache, reconciler: Reconciler) -> list[WatchedObject]:
    return list(CachedDirectory(cache, reconciler).objects())


def test_one_object_is_asked_for_by_its_uid(cache: Cache, reconciler: Reconciler) -> None:
    """Another one that has its name by now is not the one that was meant."""
    cache.objects.put(llm_body(**SCALED))
    found, meant = CachedDirectory(cache, reconciler), ObjectRef("team", "qwen", UID)
    assert found.one(meant) == next(iter(found.objects()))
    assert found.one(replace(meant, uid="the one before")) is None
    assert found.one(replace(meant, name="other")) is None


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
    assert found.facts.inputs == inputs_hash(parsed(target), SETTINGS)
    assert found.ref == ObjectRef("team", "qwen", UID)
    assert found.config is not None
    assert (found.config.min_replicas, found.config.max_replicas, found.replicas) == (2, 4, 3)
    assert (found.resource_version, found.suspended) == ("1", False)
    assert found.quota_exceeded == "pods forbidden: exceeded quota: gpus"
    assert [(pod.name, pod.ip, pod.ready, pod.unschedulable) for pod in found.pods] == [
        ("a", "10.0.0.1", True, False),
        ("b", "", False, True),
    ]
    assert [(change.before, change.after) for change in found.history] == [(1, 3)]


@pytest.mark.parametrize(
    ("profile", "hardware"),
    [
        ({"pricePerHour": 2.5}, Hardware(profile="x", gpus=4, price_per_hour=10)),
        ({"pricePerHour": 0}, Hardware(profile="x", gpus=4, price_per_hour=0)),
        ({}, Hardware(profile="x", gpus=4)),
        ({"resourceName": "", "pricePerHour": 2.5}, Hardware(profile="x", price_per_hour=2.5)),
        ({"name": "y"}, Hardware()),
    ],
    ids=str,
)
def test_what_a_replica_takes(
    cache: Cache, reconciler: Reconciler, profile: dict[str, Any], hardware: Hardware
) -> None:
    """GPUs and their price by the profile; no price is not a price of 0."""
    settings = Settings.parse({"gpuProfiles": [{"name": "x", "memoryGiB": 80} | profile]})
    cache.objects.put(llm_body(gpu={"profile": "x", "tensorParallelSize": 2, "pipelineParallelSize": 2}))
    reconciler.settings = settings
    (found,) = directory(cache, reconciler)
    assert found.hardware == hardware


def test_how_fast_a_replica_should_be(cache: Cache, reconciler: Reconciler) -> None:
    """From the profile's data sheet and the model's size; of a GPU whose bandwidth is not stated nothing is known."""
    gpu = {"name": "x", "memoryGiB": 140.4, "computeCapability": "9.0"}
    cache.objects.put(llm_body(model={"source": "meta-llama/Llama-3.1-8B"}, gpu={"profile": "x"}, **SCALED))
    reconciler.settings = Settings.parse({"gpuProfiles": [gpu | {"bandwidthGBs": 4800, "tflops": 989}]})
    (found,) = directory(cache, reconciler)
    assert found.config is not None
    assert found.config.start.speed.floor == pytest.approx(0.0049, rel=0.2)
    assert (found.config.start.batch_tokens, found.config.start.sequences) == (8192, 1024)
    cache.objects.put(llm_body(uid="2", model={"source": "meta-llama/Llama-3.1-8B"}, gpu={"profile": "x"}, **SCALED))
    reconciler.settings = Settings.parse({"gpuProfiles": [gpu]})
    (found,) = directory(cache, reconciler)
    assert found.config is not None
    assert (found.config.start.speed, found.config.start.batch_tokens) == (UNKNOWN, 8192)


@pytest.mark.parametrize(
    "body",
    [
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


def test_an_object_that_nobody_scales_is_watched(cache: Cache, reconciler: Reconciler) -> None:
    """Its engines may hang too; what its status tells of replacements is read, as far as it can be."""
    record = {"time": NOON, "pod": "a", "reason": "EngineHung", "message": "it was replaced"}
    advice = {"reason": "RaiseMaxNumSeqs", "message": "raise it", "since": NOON}
    status = {"replacements": [record, {"time": "yesterday"}], "recommendations": [advice, {}]}
    engine = {"maxModelLen": 8192, "maxNumSeqs": 64, "maxNumBatchedTokens": 512}
    cache.objects.put(llm_body(engine=engine, startup={"timeoutSeconds": 60}, status=status))
    (found,) = directory(cache, reconciler)
    assert found.config is None
    assert found.facts == EngineFacts(
        max_model_len=8192, max_num_seqs=64, max_num_batched_tokens=512, startup_timeout=60
    )
    assert [one.reason for one in found.recommended] == ["RaiseMaxNumSeqs"]
    assert [(one.pod, one.message) for one in found.replaced] == [("a", "it was replaced")]


@pytest.mark.parametrize(
    ("capability", "has_fp8"), [("8.0", False), ("8.9", True), ("9.0", True), ("10.0", True), ("", False)]
)
def test_the_profile_says_whether_the_gpu_has_fp8(
    cache: Cache, reconciler: Reconciler, capability: str, *, has_fp8: bool
) -> None:
    profile = {"name": "gpu", "default": True, "memoryGiB": 80, "computeCapability": capability}
    reconciler.settings = Settings.parse({"gpuProfiles": [profile]})
    cache.objects.put(llm_body())
    (found,) = directory(cache, reconciler)
    assert found.facts.fp8_kv_cache is has_fp8


POD = PodRef(name="a", uid="uid-a", ip="10.0.0.1", port=8000, ready=True, resource_version="7")


async def test_a_hung_pod_is_deleted_as_it_was_seen_and_not_drained() -> None:
    """Its requests are lost; the drain time of its spec would only keep the GPUs."""
    asked: dict[str, Any] = {}

    class Api:
        async def delete(self, _: object, namespace: str, name: str, **options: Any) -> None:
            asked.update({"namespace": namespace, "name": name, **options})

    await ClusterActuator(Api()).replace(ObjectRef("team", "qwen", UID), POD)  # type: ignore[arg-type]
    assert asked == {"namespace": "team", "name": "a", "uid": "uid-a", "version": "7", "grace": 15}


@pytest.mark.parametrize("error", [GoneError("not found"), ConflictError("another uid")])
async def test_a_pod_that_changed_meanwhile_is_not_deleted(error: Exception) -> None:
    class Api:
        async def delete(self, *_: object, **__: Any) -> None:
            raise error

    with pytest.raises(Conflict):
        await ClusterActuator(Api()).replace(ObjectRef("team", "qwen", UID), POD)  # type: ignore[arg-type]


def test_nothing_is_told_of_what_is_not_wholly_known_yet(cache: Cache, reconciler: Reconciler) -> None:
    cache.objects.put(llm_body(**SCALED))
    reconciler.visited.clear()
    assert directory(cache, reconciler) == []


async def test_a_report_is_kept_for_the_object_that_it_is_about(cache: Cache, reconciler: Reconciler) -> None:
    queue = WorkQueue()
    cache.objects.put(llm_body(**SCALED))
    report = Report(scaling=ScalingStatus(desired_replicas=3), kv_cache_tokens=8192)
    reporter = Reporter(cache, reconciler, queue)
    reporter(ObjectRef("team", "qwen", "another uid"), report)
    assert reconciler.reports == {}
    reporter(ObjectRef("team", "qwen", UID), report)
    assert reconciler.reports[KEY] is report
    assert KEY in queue.schedule.due
