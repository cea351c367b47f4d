"""The pace of a HorizontalPodAutoscaler, by how long a replica takes to start."""

from typing import Any

import pytest

from llmfleet.api.v1alpha1 import ScalingSpec
from llmfleet.manifests.pace import behavior, sized


@pytest.mark.parametrize(
    ("measured", "before", "expected"),
    [
        pytest.param(None, None, 120, id="nothing is known"),
        pytest.param(None, 45, 45, id="an operator that saw no start keeps what it finds"),
        pytest.param(92, None, 105, id="rounded up"),
        pytest.param(90, None, 90, id="a whole number of looks"),
        pytest.param(0, None, 15, id="never less than a look"),
        pytest.param(92, 120, 120, id="long enough"),
        pytest.param(41, 120, 120, id="long, but not three times as long"),
        pytest.param(39, 120, 45, id="three times too long"),
        pytest.param(121, 120, 135, id="too short: starts became longer"),
        pytest.param(5000, 120, 5010, id="an hour and more"),
    ],
)
def test_a_start_to_reckon_with(measured: int | None, before: int | None, expected: int) -> None:
    assert sized(measured, before=before) == expected


def test_starts_of_about_the_same_length_are_no_change() -> None:
    """Whatever their order: the number settles, and is then left alone."""
    settled: list[int] = []
    before = None
    for measured in (58, 61, 74, 59, 60, 75, 58, 76, 45, 62):
        before = sized(measured, before=before)
        settled.append(before)
    assert settled == [60, 75, 75, 75, 75, 75, 75, 90, 90, 90]


def spec(delay: int = 300) -> ScalingSpec:
    return ScalingSpec(max_replicas=8, scale_down_delay_seconds=delay)


@pytest.mark.parametrize(
    ("delay", "startup", "window", "period"),
    [(300, 120, 300, 120), (30, 120, 120, 120), (0, 15, 15, 15), (7200, 120, 3600, 120), (300, 5010, 3600, 1800)],
)
def test_windows_and_periods_are_those_of_a_start_within_what_kubernetes_takes(
    delay: int, startup: int, window: int, period: int
) -> None:
    found = behavior(spec(delay), startup=startup)
    assert found["scaleDown"]["stabilizationWindowSeconds"] == window
    assert {policy["periodSeconds"] for policy in found["scaleUp"]["policies"]} == {period}


def limit(policies: list[dict[str, Any]], replicas: int, sign: int) -> int:
    """How many replicas Kubernetes' controller allows within a period, of the policies that it may choose from."""
    reached = [
        replicas + sign * (policy["value"] if policy["type"] == "Pods" else int(replicas * policy["value"] / 100))
        for policy in policies
    ]
    return max(reached) if sign > 0 else min(reached)


@pytest.mark.parametrize(("replicas", "up", "down"), [(1, 5, 0), (2, 8, 1), (4, 16, 2), (10, 40, 5)])
def test_a_whole_answer_up_and_half_at_a_time_down(replicas: int, up: int, down: int) -> None:
    """A load step of four times is answered in one decision, whatever the number before."""
    found = behavior(spec(), startup=120)
    assert limit(found["scaleUp"]["policies"], replicas, +1) == up
    assert limit(found["scaleDown"]["policies"], replicas, -1) == down
