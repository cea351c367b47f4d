"""The series of objects that follow from the caches."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from llmfleet.controller.cache import Cache
from llmfleet.controller.chronicle import PERIOD, Chronicle
from llmfleet.controller.fleet_metrics import FleetCollector
from tests.unit.controller.bodies import counts, running
from tests.unit.kube.bodies import llm_body
from tests.unit.scaling.world import START, VirtualClock

HOLD = (
    '{"inputs": "x", "reason": "DoesNotFitMemory", "message": "m", "blamesSpec": true, "failures": 3, "holds": 1, '
    '"until": %d, "rolledBack": false}'
)


def condition(kind: str, status: str, reason: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason}


def page(cache: Cache, *, leads: bool = True, now: float = START) -> dict[str, dict[tuple[str, ...], float]]:
    """Family -> label values -> value, of the families that have any."""
    families = FleetCollector(cache, is_leader=lambda: leads, wall=lambda: now).collect()
    found = {one.name: {tuple(s.labels.values()): s.value for s in one.samples} for one in families}
    return {name: samples for name, samples in found.items() if samples}


def with_deployment(cache: Cache, *, hold_until: float | None = None, **body: Any) -> None:
    target = llm_body(**body)
    live = running(target, status=counts(current=3, updated=3, ready=2))["Deployment"]
    if hold_until is not None:
        live["metadata"]["annotations"]["llmfleet.io/start-hold"] = HOLD % hold_until
    cache.objects.put(target)
    cache.deployments.put(live)


def test_the_kv_cache_as_planned_and_as_measured() -> None:
    """What is not known has no series, the difference neither."""
    cache = Cache()
    plan = {"kvCacheTokens": 1000, "measuredKvCacheTokens": 990}
    cache.objects.put(llm_body("both", uid="1", status={"plan": plan}))
    cache.objects.put(llm_body("planned", uid="2", status={"plan": {"kvCacheTokens": 5}}))
    cache.objects.put(llm_body("unknown", uid="3", status={"plan": {"message": "There is no memory plan."}}))
    cache.objects.put(llm_body("new", uid="4"))
    found = page(cache)
    assert found["llmfleet_kv_cache_tokens"] == {
        ("team", "both", "planned"): 1000,
        ("team", "both", "measured"): 990,
        ("team", "planned", "planned"): 5,
    }
    assert found["llmfleet_kv_cache_plan_difference_ratio"] == {("team", "both"): pytest.approx(-0.01)}


def test_replicas_conditions_bounds_and_the_last_start() -> None:
    cache = Cache()
    scaling = {"minReplicas": 1, "maxReplicas": 4, "objective": "Throughput"}
    status = {
        "conditions": [condition("Ready", "False", "Starting"), condition("ScalingActive", "True", "AtMaximum")],
        "engine": {"startupSeconds": 42, "version": "0.32.0"},
        "gpuProfile": "l4",
    }
    with_deployment(cache, scaling=scaling, replicas=3, status=status)
    key = ("team", "qwen")
    assert page(cache) == {
        "llmfleet_replicas": {(*key, "wanted"): 3, (*key, "current"): 3, (*key, "ready"): 2},
        "llmfleet_condition": {
            (*key, "Ready", "False", "Starting"): 1,
            (*key, "ScalingActive", "True", "AtMaximum"): 1,
        },
        "llmfleet_llmdeployment_info": {(*key, "Qwen/Qwen3-8B", "l4", "0.32.0"): 1},
        "llmfleet_start_held": {key: 0},
        "llmfleet_last_startup_seconds": {key: 42},
        "llmfleet_kv_cache_usage_target_ratio": {key: 0.8},
        "llmfleet_scaling_bound_replicas": {(*key, "min"): 1, (*key, "max"): 4},
    }


def test_own_targets_count_and_what_cannot_be_read_has_none() -> None:
    cache = Cache()
    cache.objects.put(llm_body("own", uid="1", scaling={"maxReplicas": 4, "targets": {"kvCacheUsagePercent": 60}}))
    cache.objects.put(llm_body("odd", uid="2", scaling={"maxReplicas": "many"}))
    cache.objects.put(llm_body("still", uid="3"))
    found = page(cache)
    assert found["llmfleet_kv_cache_usage_target_ratio"] == {("team", "own"): 0.6}
    assert found["llmfleet_scaling_bound_replicas"] == {("team", "own", "max"): 4}


def test_only_the_leader_has_series_of_objects() -> None:
    cache = Cache()
    with_deployment(cache)
    assert page(cache, leads=False) == {}


@pytest.mark.parametrize(("until", "is_held"), [(START + 100, 1), (START - 1, 0)])
def test_a_held_start(until: float, is_held: float) -> None:
    cache = Cache()
    with_deployment(cache, hold_until=until)
    assert page(cache)["llmfleet_start_held"] == {("team", "qwen"): is_held}


def chronicle(cache: Cache, registry: CollectorRegistry, *, leads: bool = True) -> Chronicle:
    labels = ["namespace", "name", "held", "reason"]
    held = Counter("held_seconds", "Held.", labels, registry=registry)
    reversals = Counter("reversals", "Turns.", labels[:2], registry=registry)
    return Chronicle(cache, held, reversals, is_leader=lambda: leads, clock=VirtualClock())


def seconds(registry: CollectorRegistry, held: str, reason: str) -> float | None:
    labels = {"namespace": "team", "name": "qwen", "held": held, "reason": reason}
    return registry.get_sample_value("held_seconds_total", labels)


@pytest.mark.parametrize(
    ("status", "reason", "counted"),
    [
        ("False", "HeldMissingMetrics", 10),
        ("Unknown", "HeldAfterRestart", 10),
        ("False", "QuotaExceeded", 10),
        ("True", "AtMaximum", None),
        ("False", "Disabled", None),
    ],
)
def test_the_time_for_which_scaling_is_held(status: str, reason: str, counted: float | None) -> None:
    cache, registry = Cache(), CollectorRegistry()
    cache.objects.put(llm_body(status={"conditions": [condition("ScalingActive", status, reason)]}))
    told = chronicle(cache, registry)
    told.look(PERIOD)
    told.look(PERIOD)
    assert seconds(registry, "scaling", reason) == counted


def test_the_time_for_which_a_start_is_held_and_its_end() -> None:
    """A deleted object leaves nothing."""
    cache, registry = Cache(), CollectorRegistry()
    with_deployment(cache, hold_until=START + 100)
    told = chronicle(cache, registry)
    told.look(7)
    assert seconds(registry, "start", "DoesNotFitMemory") == 7
    cache.objects.remove(llm_body())
    told.look(7)
    assert seconds(registry, "start", "DoesNotFitMemory") is None


def test_another_leader_counts() -> None:
    cache, registry = Cache(), CollectorRegistry()
    with_deployment(cache, hold_until=START + 100)
    chronicle(cache, registry, leads=False).look(7)
    assert seconds(registry, "start", "DoesNotFitMemory") is None


def turns(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("reversals_total", {"namespace": "team", "name": "qwen"})


@pytest.mark.parametrize(
    ("replicas", "counted"),
    [
        ((1, 2, 3, 4), 0),
        ((4, 4, 2, 1), 0),
        ((1, 3, 5, 3, 1), 1),
        ((1, 3, 3, 1, 3, 1), 3),
    ],
)
def test_replicas_that_turn_about(replicas: tuple[int, ...], counted: int) -> None:
    """From zero on; a rise and a fall is one turn, however many steps it has. A deleted object leaves nothing."""
    cache, registry = Cache(), CollectorRegistry()
    told = chronicle(cache, registry)
    for version, number in enumerate(replicas, start=1):
        body = llm_body(replicas=number)
        body["metadata"]["resourceVersion"] = str(version)
        cache.objects.put(body)
        told.look(PERIOD)
    assert turns(registry) == counted
    cache.objects.remove(body)
    told.look(PERIOD)
    assert turns(registry) is None
