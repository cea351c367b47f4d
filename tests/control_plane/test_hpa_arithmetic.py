"""The HorizontalPodAutoscaler's rule that other autoscalers are measured by, against Kubernetes' own controller.

The same pods, the same metrics, the same HorizontalPodAutoscaler; what the controller writes into spec.replicas must be
what `sim/peers/hpa.py` answers, decision by decision.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.hpa import Sample, Stage, for_average_value, for_pods, for_value
from llmfleet.sim.peers.hpa_pace import Direction, Pace
from tests.cluster import ControlPlane
from tests.control_plane.hpa_cases import CASES, SERIES, Case
from tests.control_plane.kubelet import Kubelet, Status, loading, ready
from tests.control_plane.metrics_adapter import Answer, MetricsAdapter, own_address
from tests.control_plane.operator_process import until

pytestmark = [pytest.mark.control_plane, pytest.mark.thorough]

BOUNDS = Bounds(1, 30)
DOWN_WINDOW = 4
"""Seconds: what the test library's controller manager is started with."""


STAGES = {"ready": Stage.RUNNING, "loading": Stage.RUNNING, "pending": Stage.PENDING}


def milli(quantity: str) -> int:
    """As Kubernetes does it: upwards."""
    units = {"m": Decimal(1), "u": Decimal("0.001")}
    number = Decimal(quantity.rstrip("mu")) * units.get(quantity[-1], Decimal(1000))
    return int(number.to_integral_value("ROUND_CEILING"))


def manifest(case: Case) -> dict[str, Any]:
    """The pods, all made at once and known by number."""
    labels = {"app": case.name}
    container = {"name": "engine", "image": "vllm"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": case.name, "namespace": "default"},
        "spec": {
            "serviceName": case.name,
            "podManagementPolicy": "Parallel",
            "replicas": len(case.pods),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def failed_pod(case: Case) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{case.name}-gone", "namespace": "default", "labels": {"app": case.name}},
        "spec": {"containers": [{"name": "engine", "image": "vllm"}]},
    }


def autoscaler(case: Case) -> dict[str, Any]:
    kind = "External" if case.external is not None else "Pods"
    how = {"type": "Value", "field": "value"} if case.whole else {"type": "AverageValue", "field": "averageValue"}
    metrics = [
        {"type": kind, kind.lower(): {"metric": {"name": name}, "target": {"type": how["type"], how["field"]: target}}}
        for name, target in zip(case.metrics, case.targets, strict=True)
    ]
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": case.name},
        "minReplicas": BOUNDS.least,
        "maxReplicas": BOUNDS.most,
        "metrics": metrics,
    }
    if case.behavior:
        halves = {"scaleUp": case.behavior.up, "scaleDown": case.behavior.down}
        spec["behavior"] = {name: rules(half) for name, half in halves.items()}
    meta = {"name": case.name, "namespace": "default"}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}


def rules(half: Direction) -> dict[str, Any]:
    policies = [{"type": p.kind, "value": p.value, "periodSeconds": p.seconds} for p in half.policies]
    return {"stabilizationWindowSeconds": int(half.window), "selectPolicy": half.select, "policies": policies}


def told(case: Case) -> dict[str, Answer]:
    """What the adapter says at the first look."""
    if case.external is not None:
        return {case.metrics[0]: case.external}
    first = {f"{case.name}-{index}": pod.value for index, pod in enumerate(case.pods) if pod.value is not None}
    if case.failed:
        first[f"{case.name}-gone"] = "100m"
    answers: dict[str, Answer] = {case.metrics[0]: first}
    for metric, value in zip(case.metrics[1:], case.others, strict=True):
        if value is not None:
            answers[metric] = {f"{case.name}-{index}": value for index in range(len(case.pods))}
    return answers


def script(pod: dict[str, Any]) -> Status:
    """What the kubelet says of each pod."""
    name, _, index = pod["metadata"]["name"].rpartition("-")
    if index == "gone":
        return loading() | {"phase": "Failed"}
    case = next(case for case in (*CASES, SERIES) if case.name == name)
    stage = case.pods[int(index)].stage if int(index) < len(case.pods) else "ready"
    return ready() if stage == "ready" else loading() | ({"phase": "Pending"} if stage == "pending" else {})


@dataclass
class Ours:
    """Our rule for one case, step by step."""

    case: Case
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(BOUNDS, self.case.behavior, DOWN_WINDOW)

    def asked(self, value: str | None, *, current: int) -> int | None:
        """What the metrics ask for; `value` is the external one's."""
        if value is not None:
            target, amount = milli(self.case.targets[0]), milli(value)
            if self.case.whole:
                count = sum(pod.stage == "ready" for pod in self.case.pods)
                return for_value(amount, current=current, ready=count, target=target)
            return for_average_value(amount, replicas=current, target=target)
        first = [pod.value for pod in self.case.pods]
        answers = [self._of_pods(first, self.case.targets[0])]
        for other, target_of_other in zip(self.case.others, self.case.targets[1:], strict=True):
            answers.append(self._of_pods([other] * len(first), target_of_other))
        known = [answer for answer in answers if answer is not None]
        return None if not known or (len(known) < len(answers) and max(known) < current) else max(known)

    def _of_pods(self, values: list[str | None], target: str) -> int | None:
        samples = [
            Sample(None if value is None else milli(value), STAGES[pod.stage])
            for pod, value in zip(self.case.pods, values, strict=True)
        ]
        extra = [Sample(100, Stage.GONE)] if self.case.failed else []
        return for_pods([*samples, *extra], current=len(self.case.pods), target=milli(target))

    def decide(self, value: str | None, *, current: int, at: float) -> int:
        """spec.replicas after the look at that time."""
        asked = self.asked(value, current=current)
        wanted = current if asked is None else self.pace.limited(at, current, asked)
        if wanted != current:
            self.pace.moved(at, current, wanted)
        return wanted


@pytest.fixture(scope="module")
def adapter() -> Iterator[MetricsAdapter]:
    try:
        address = own_address()
    except OSError:
        pytest.skip("this machine has no address but loopback, and no EndpointSlice may name that")
    with ControlPlane() as cluster, Kubelet(cluster, script), MetricsAdapter(cluster, address) as adapter:
        for case in (*CASES, SERIES):
            cluster.apply(manifest(case))
            if case.failed:
                cluster.apply(failed_pod(case))
        until(lambda: all_as_told(cluster), what="all pods are as they should be", seconds=60)
        cluster.apply(*(autoscaler(case) for case in (*CASES, SERIES)))
        until(lambda: all(adapter.asked(case.metrics[0]) for case in (*CASES, SERIES)), what="all were looked at")
        yield adapter


def all_as_told(cluster: ControlPlane) -> bool:
    found = {pod["metadata"]["name"]: pod["status"] for pod in cluster.select("pods")}
    wanted = [(f"{case.name}-{index}", pod) for case in (*CASES, SERIES) for index, pod in enumerate(case.pods)]
    phases = {"ready": "Running", "loading": "Running", "pending": "Pending"}
    return all(
        name in found and "containerStatuses" in found[name] and found[name]["phase"] == phases[pod.stage]
        for name, pod in wanted
    )


def replicas(cluster: ControlPlane, case: Case) -> int:
    return int(cluster.get("statefulsets", case.name)["spec"]["replicas"])


def decided(adapter: MetricsAdapter, metric: str, *, after: int = 0) -> float:
    """Wait until the look that took the answer is over, which it is when the next one asks; the time of that look."""
    until(lambda: len(adapter.answered(metric)) > after, what=f"{metric} is read")
    at = adapter.answered(metric)[-1]
    until(lambda: adapter.asked(metric)[-1] > at, what=f"{metric} is asked for again")
    return at


def test_one_decision_of_each_kind(adapter: MetricsAdapter) -> None:
    """All at once; each is told once, and compared when it asks again."""
    for case in CASES:
        adapter.tell(told(case))
    got, expected = {}, {}
    for case in CASES:
        metric, current, ours = case.metrics[0], len(case.pods), Ours(case)
        at = decided(adapter, metric)
        ours.pace.begin(adapter.asked(metric)[0], current)
        got[case.name] = replicas(adapter.cluster, case)
        expected[case.name] = ours.decide(case.external, current=current, at=at)
    assert got == expected
    assert got == {case.name: got[case.name] if case.becomes is None else case.becomes for case in CASES}


def test_a_series_with_limits_and_a_window(adapter: MetricsAdapter) -> None:
    """Up by two in a quarter of an hour, down only after 12 s of low answers, by one more than had come."""
    ours, current, high_at, metric = Ours(SERIES), len(SERIES.pods), 0.0, SERIES.metrics[0]
    ours.pace.begin(adapter.asked(metric)[0], current)
    got, expected = [], []
    for number, value in enumerate(("9", "9", "1", "1", "1")):
        if number == 3:
            time.sleep(max(0.0, high_at + 13 - time.monotonic()))
        adapter.tell({metric: value})
        at = decided(adapter, metric, after=number)
        high_at = at if value == "9" else high_at
        expected.append(ours.decide(value, current=current, at=at))
        current = replicas(adapter.cluster, SERIES)
        got.append(current)
    assert got == expected
    assert got == [4, 4, 4, 1, 1]
