"""The HorizontalPodAutoscaler's arithmetic, with Kubernetes' own examples."""

import pytest

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.hpa import (
    ExternalMetric,
    Hpa,
    PodsMetric,
    Sample,
    Stage,
    for_average_value,
    for_pods,
    for_value,
    milli,
)
from llmfleet.sim.peers.pages import kv_usage, total, waiting
from llmfleet.sim.rule import View
from tests.unit.sim.peers.fleets import alike, history, seen, serving, starting

PENDING, GONE = Stage.PENDING, Stage.GONE


def samples(*levels: int, missing: int = 0, pending: int = 0) -> list[Sample]:
    return [
        *(Sample(level) for level in levels),
        *(Sample(None) for _ in range(missing)),
        *(Sample(None, PENDING) for _ in range(pending)),
    ]


@pytest.mark.parametrize(
    ("name", "given", "current", "target", "expected"),
    [
        ("ScaleUpCM", samples(20_000, 10_000, 30_000), 3, 15_000, 4),
        ("ScaleUpCMUnreadyHotCpuNoLessScale", samples(50_000, 10_000, 30_000), 3, 15_000, 6),
        ("ScaleUpCMUnreadyHotCpuScaleWouldScaleDown", samples(50_000, 15_000, 30_000), 3, 15_000, 7),
        ("ScaleDownCM", samples(12_000, 12_000, 12_000, 12_000, 12_000), 5, 20_000, 3),
        ("ToleranceCM", samples(20_000, 21_000, 21_000), 3, 20_000, 3),
        ("PlainMetricMissingMetricsNoChangeEq", samples(20_000, 19_000, 21_000, missing=2), 5, 20_000, 5),
        ("DuringRollingUpdateWithMaxSurgeCM", samples(10_000, 10_000, missing=1), 2, 17_000, 2),
    ],
)
def test_kubernetes_own_cases_of_pods_metrics(
    name: str, given: list[Sample], current: int, target: int, expected: int
) -> None:
    """TestReplicaCalc* of kubernetes v1.34.4, pkg/controller/podautoscaler/replica_calculator_test.go.

    Pods that are not ready count in full there, which is what the two with "Unready" in their names are about.
    """
    assert for_pods(given, current=current, target=target) == expected, name


@pytest.mark.parametrize(
    ("name", "value", "replicas", "target", "expected"),
    [
        ("ScaleUpPerPodCMExternal", 8_600, 3, 2_150, 4),
        ("ScaleDownPerPodCMExternal", 8_600, 5, 2_867, 3),
        ("TolerancePerPodCMExternal", 8_600, 3, 2_900, 3),
    ],
)
def test_kubernetes_own_cases_of_external_metrics_with_an_average_value(
    name: str, value: int, replicas: int, target: int, expected: int
) -> None:
    assert for_average_value(value, replicas=replicas, target=target) == expected, name


@pytest.mark.parametrize(
    ("name", "current", "ready", "target", "expected"),
    [
        ("ScaleUpCMExternal", 1, 1, 4_400, 2),
        ("ScaleDownCMExternal", 5, 5, 14_334, 3),
        ("ScaleUpCMExternalIgnoresUnreadyPods", 3, 1, 4_400, 2),
    ],
)
def test_kubernetes_own_cases_of_external_metrics_with_a_value(
    name: str, current: int, ready: int, target: int, expected: int
) -> None:
    """The last one asks for fewer than there are, because it only knows the ready ones."""
    assert for_value(8_600, current=current, ready=ready, target=target) == expected, name


@pytest.mark.parametrize(
    ("given", "expected", "why"),
    [
        (samples(900, 900), 3, "9/7 of two"),
        (samples(900, 900, missing=1), 3, "the missing one is at 0: mean 600, and the direction would turn"),
        (samples(1_000, 1_000, 1_000, missing=1), 4, "mean 750 is within the tolerance of 700"),
        (samples(1_000, 1_000, 1_000, pending=1), 4, "a pending pod is at 0 as well"),
        (samples(100, 100, missing=1), 2, "the missing one is on target: (100 + 100 + 700) / 700 of one pod"),
        (samples(100, 100, pending=1), 1, "on the way down a pending pod does not count"),
        ([Sample(900), Sample(900), Sample(100, GONE)], 3, "who goes does not count"),
        (samples(missing=2), None, "nobody has it"),
        ([Sample(900, PENDING), Sample(None)], None, "a pending pod's metric does not count"),
    ],
)
def test_missing_and_starting_pods(given: list[Sample], expected: int | None, why: str) -> None:
    current = sum(sample.stage is not GONE for sample in given)
    assert for_pods(given, current=current, target=700) == expected, why


def test_values_are_thousandths_rounded_up() -> None:
    assert [milli(value) for value in (0.07, 0.7001, 2, 0.0)] == [70, 701, 2_000, 0]


def test_the_largest_answer_counts() -> None:
    rule = Hpa(Bounds(1, 20), [PodsMetric(kv_usage, 0.7), PodsMetric(waiting, 2)])
    assert rule.decide(seen(alike(2, kv=0.1, waiting=3))) == 3
    assert rule.decide(seen(alike(3, kv=0.9, waiting=0), now=15)) == 4


def test_a_metric_that_cannot_be_had_only_forbids_to_shrink() -> None:
    """No page has a queue: KV alone may add, and may not take."""
    rule = Hpa(Bounds(1, 20), [PodsMetric(kv_usage, 0.7), PodsMetric(waiting, 2)], down_window=0)
    assert rule.decide(seen([serving("a", kv=0.9), serving("b", kv=0.9)])) == 3
    assert rule.decide(seen([serving("a", kv=0.1), serving("b", kv=0.1)], now=15)) == 2


def test_blind_it_holds() -> None:
    rule = Hpa(Bounds(1, 20), [PodsMetric(kv_usage, 0.7)], down_window=0)
    assert rule.decide(seen([starting("a"), starting("b")])) == 2


def test_bounds_bind_without_any_metric_and_zero_is_left_alone() -> None:
    rule = Hpa(Bounds(2, 5), [PodsMetric(kv_usage, 0.7)])
    assert [rule.decide(seen(replicas=count)) for count in (1, 9, 0)] == [2, 5, 0]


def test_without_behavior_a_step_up_is_twice_or_four() -> None:
    """horizontal.go: scaleUpLimitFactor 2, scaleUpLimitMinimum 4."""
    rule = Hpa(Bounds(1, 100), [ExternalMetric(total(waiting), 5)])
    assert history(rule, flooded, range(0, 75, 15), replicas=1) == [4, 8, 16, 32, 64]


def flooded(now: float, replicas: int) -> View:
    return seen([serving(waiting=5_000), *(starting(str(index)) for index in range(replicas - 1))], now=now)


def test_down_comes_after_five_minutes_of_low_answers() -> None:
    """The largest answer of 300 s is done; the number that was there at the first look counts as one."""
    rule = Hpa(Bounds(1, 10), [PodsMetric(kv_usage, 0.7)])
    numbers = history(rule, idle, range(0, 345, 15), replicas=8)
    assert numbers == [8] * 21 + [2, 2]


def idle(now: float, replicas: int) -> View:
    return seen(alike(replicas, kv=0.14), now=now)
