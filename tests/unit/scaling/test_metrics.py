"""The autoscaler's series: what engines say, what they cost, and that nothing unknown is shown as a number."""

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from llmfleet.scaling.fleet import Totals
from llmfleet.scaling.metrics import ScalingMetrics, cost_per_million_tokens
from llmfleet.scaling.ports import Hardware, PodRef, WatchedObject
from tests.unit.scaling.world import REF

H100 = Hardware(profile="h100", gpus=2, price_per_hour=6.0)
SERVING = Totals(
    ready=2,
    observed=2,
    kv_mean=0.5,
    running=8,
    waiting=1,
    prompt_tokens_per_second=900,
    generation_tokens_per_second=100,
)


def pod(name: str, **fields: Any) -> PodRef:
    return PodRef(name=name, uid=name, ip="", port=8000, **{"ready": True} | fields)


def watched(hardware: Hardware, *pods: PodRef) -> WatchedObject:
    return WatchedObject(ref=REF, config=None, hardware=hardware, replicas=2, resource_version="1", pods=pods)


def shown(hardware: Hardware, totals: Totals, *pods: PodRef) -> CollectorRegistry:
    registry = CollectorRegistry()
    ScalingMetrics(registry).seen(watched(hardware, *pods), totals)
    return registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, {"namespace": REF.namespace, "name": REF.name, **labels})


def test_pods_that_hold_a_place_are_paid_for() -> None:
    """One that starts and one that drains too; one that finds no node not."""
    pods = (pod("a"), pod("b", ready=False), pod("c", terminating=True), pod("d", ready=False, unschedulable=True))
    registry = shown(H100, SERVING, *pods)
    assert value(registry, "llmfleet_gpus", profile="h100") == 6
    assert value(registry, "llmfleet_cost_usd_per_hour") == 18
    assert value(registry, "llmfleet_cost_usd_per_million_tokens") == pytest.approx(18 / 3.6)
    assert value(registry, "llmfleet_tokens_per_second", kind="prompt") == 900
    assert value(registry, "llmfleet_tokens_per_second", kind="generation") == 100


def test_no_replica_costs_nothing_and_has_no_price_for_tokens() -> None:
    registry = shown(H100, Totals(ready=0, observed=0))
    assert value(registry, "llmfleet_gpus", profile="h100") == 0
    assert value(registry, "llmfleet_cost_usd_per_hour") == 0
    assert value(registry, "llmfleet_cost_usd_per_million_tokens") is None


def test_an_unknown_price_is_not_zero() -> None:
    registry = shown(Hardware(profile="l4", gpus=1), SERVING, pod("a"))
    assert value(registry, "llmfleet_gpus", profile="l4") == 1
    assert value(registry, "llmfleet_cost_usd_per_hour") is None
    assert value(registry, "llmfleet_cost_usd_per_million_tokens") is None


@pytest.mark.parametrize(
    ("cost", "changes", "expected"),
    [
        (3.6, {}, 1.0),
        (0.0, {}, 0.0),
        (None, {}, None),
        (3.6, {"prompt_tokens_per_second": 0, "generation_tokens_per_second": 0}, None),
        (3.6, {"prompt_tokens_per_second": None}, None),
        (3.6, {"generation_tokens_per_second": None}, None),
        (3.6, {"observed": 1}, None),
    ],
)
def test_the_cost_of_tokens(cost: float | None, changes: dict[str, Any], expected: float | None) -> None:
    """Unknown price, no traffic, a rate or a replica that is not known: no figure."""
    totals = Totals(
        **{"ready": 2, "observed": 2}
        | {"prompt_tokens_per_second": 900.0}
        | {"generation_tokens_per_second": 100.0}
        | changes
    )
    assert cost_per_million_tokens(cost, totals) == expected


def test_another_profile_takes_the_place_of_the_one_before() -> None:
    registry = CollectorRegistry()
    metrics = ScalingMetrics(registry)
    metrics.seen(watched(H100, pod("a")), SERVING)
    metrics.seen(watched(Hardware(profile="l4", gpus=1), pod("a")), SERVING)
    assert value(registry, "llmfleet_gpus", profile="h100") is None
    assert value(registry, "llmfleet_gpus", profile="l4") == 1
    assert value(registry, "llmfleet_cost_usd_per_hour") is None


def test_hangs_are_counted_from_zero() -> None:
    """A counter that begins with 1 shows no rise."""
    registry = CollectorRegistry()
    ScalingMetrics(registry).watched(REF, hung=1)
    assert value(registry, "llmfleet_hung_replicas") == 1
    assert value(registry, "llmfleet_hung_engines_total") == 0
    assert value(registry, "llmfleet_hung_engines_replaced_total") == 0


def test_a_deleted_object_leaves_nothing() -> None:
    registry = CollectorRegistry()
    metrics = ScalingMetrics(registry)
    metrics.seen(watched(H100, pod("a")), SERVING)
    metrics.watched(REF, hung=1)
    metrics.scraped(REF, "ok")
    metrics.recommended(REF, ["RaiseMaxReplicas"])
    metrics.forget(REF)
    assert [sample for family in registry.collect() for sample in family.samples if "name" in sample.labels] == []


def test_of_gpus_only_the_present_profile_is_shown() -> None:
    registry = CollectorRegistry()
    metrics = ScalingMetrics(registry)
    for hardware in (H100, replace(H100, profile="h200"), replace(H100, profile="")):
        metrics.seen(watched(hardware, pod("a")), SERVING)
        found = {s.labels["profile"] for family in registry.collect() for s in family.samples if "profile" in s.labels}
        assert found == {hardware.profile} - {""}
