"""The two loads that tell scaling signals apart, on engines that play an H200, each under three autoscalers at once.

With long prompts KV usage stays at a quarter while the queue grows; with long answers the queue stays empty while KV
usage climbs to the top (both measured). So an autoscaler on KV usage alone is blind to the first, one on the queue
alone is late for the second, and ours does both in time. tests/unit/sim/test_two_cases.py has the same in simulated
time.
"""

import time
from dataclasses import dataclass
from typing import Any

import pytest

from llmfleet.sim.trace_made import Draw, poisson
from tests.cluster import monitoring
from tests.cluster.cluster import Cluster
from tests.cluster.prometheus import Prometheus
from tests.node.stories.tenant import Client, Tenant, spec
from tests.unit.sim.test_overload import REASONING, lengths

pytestmark = [pytest.mark.node, pytest.mark.heavy]

MOST = 4
KV, QUEUE, OURS = "kv-only", "queue-only", "ours"
NAMES = (KV, QUEUE, OURS)
KV_TARGET, QUEUE_TARGET = "500m", "4"
STEP_SECONDS = 1.0


@dataclass(frozen=True)
class Case:
    """A load, and engines that run so many times as fast as an H200."""

    lengths: Draw
    per_second: float
    """Requests in a second of the engine's time."""
    seconds: float
    """How long it lasts, in seconds of the engine's time."""
    speed: float
    blocks: int
    """Of the KV cache; a whole H200 has some 57,000."""

    def requests(self) -> list[dict[str, Any]]:
        """The same requests for each of the three."""
        trace = poisson([(0.0, self.per_second)], span=self.seconds, lengths=self.lengths, seed=7)
        return [
            {"arrival_s": round(at / self.speed, 3), "input_tokens": prompt, "output_tokens": output, "model": name}
            for at, prompt, output in trace
            for name in NAMES
        ]

    def engine(self, **changes: Any) -> dict[str, Any]:
        """A spec. A stream has few chunks: the client reads those of three fleets."""
        env = [{"name": "SIM_TIME_SCALE", "value": f"{self.speed:g}"}, {"name": "SIM_STARTUP_SECONDS", "value": "10"}]
        flags = ["--stream-interval", "400", "--num-gpu-blocks-override", f"{self.blocks}"]
        return spec(env=env, engine={"maxModelLen": 9500, "extraArgs": flags}, **changes)


PREFILL = Case(lengths("coding"), per_second=1.5 * 19.2, seconds=22.0, speed=0.25, blocks=57_000)
"""Slow, so that two cores can carry its requests."""
DECODE = Case(REASONING, per_second=5.5, seconds=130.0, speed=1.0, blocks=14_400)
"""A quarter of the cache is full in a quarter of the time."""


def autoscaler(name: str, metric: str, target: str) -> dict[str, Any]:
    """A HorizontalPodAutoscaler on one metric of the pods, otherwise as Kubernetes ships it."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "serving.llmfleet.io/v1alpha1", "kind": "LLMDeployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": MOST,
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {"metric": {"name": metric}, "target": {"type": "AverageValue", "averageValue": target}},
                }
            ],
        },
    }


class Run:
    """One case under way, and what Prometheus saw of it."""

    def __init__(self, team: Tenant, prometheus: Prometheus, case: Case) -> None:
        self.team, self.prometheus, self.case = team, prometheus, case
        team.apply(KV, case.engine())
        team.apply(QUEUE, case.engine())
        team.apply(OURS, case.engine(scaling={"minReplicas": 1, "maxReplicas": MOST}))
        team.cluster.apply(
            autoscaler(KV, "gpu_cache_usage_perc", KV_TARGET),
            autoscaler(QUEUE, "vllm_requests_waiting", QUEUE_TARGET),
            namespace=team.namespace,
        )
        for name in NAMES:
            team.until_settled(name, replicas=1)
        client = Client(team, "load", urls=team.urls(*NAMES), requests=case.requests())
        client.until_started()
        self.began = time.time()
        team.watch.during(case.seconds / case.speed, lambda: False, "the load lasts")
        self.ended = time.time()

    def history(self, name: str, expression: str) -> list[tuple[float, float]]:
        """Seconds of the load and values of an expression over one model's pods."""
        of = f'{{namespace="{self.team.namespace}",llmfleet_io_deployment="{name}"}}'
        found = self.prometheus.history(
            expression.replace("{}", of), start=self.began, end=self.ended, step=STEP_SECONDS
        )
        return [(at - self.began, value) for at, value in found[0].points] if found else []

    def kv(self, name: str) -> list[tuple[float, float]]:
        """KV usage of the fullest replica."""
        return self.history(name, "max(vllm:kv_cache_usage_perc{})")

    def waiting(self, name: str) -> list[tuple[float, float]]:
        """Requests that wait, all replicas together."""
        return self.history(name, "sum(vllm:num_requests_waiting{})")

    def steps(self, name: str) -> list[tuple[float, int]]:
        """Each number of replicas that was asked for, and when."""
        offset, found = time.time() - time.monotonic() - self.began, [(0.0, 1)]
        for event in self.team.watch.history:
            wanted = (
                event.body["spec"].get("replicas") if event.kind == "LLMDeployment" and event.name == name else None
            )
            if wanted is not None and wanted != found[-1][1]:
                found.append((round(event.at + offset, 1), wanted))
        return found

    def first_up(self, name: str) -> float:
        """When more than one was asked for; never: infinity."""
        return next((at for at, wanted in self.steps(name) if wanted > 1), float("inf"))

    def summary(self, name: str) -> str:
        """A line of figures."""
        kv, waiting = self.kv(name), self.waiting(name)
        most = max(value for _, value in kv)
        return (
            f"replicas {self.steps(name)}, KV at most {most:.2f}, waiting at most "
            f"{max(value for _, value in waiting):.0f} and in the end {waiting[-1][1]:.0f}"
        )


def before(series: list[tuple[float, float]], at: float) -> list[float]:
    """The values until then."""
    return [value for second, value in series if second <= at]


@pytest.fixture
def prometheus(cluster: Cluster) -> Prometheus:
    found = monitoring.client(cluster)
    if found is None or not monitoring.serves_custom_metrics(cluster):
        pytest.skip("needs a Prometheus and an adapter of ours")
    return found


def test_long_prompts(team: Tenant, prometheus: Prometheus, record_property: Any) -> None:
    """Half as much again as one replica can take: KV usage never tells, the queue does, and ours is there first."""
    run = Run(team, prometheus, PREFILL)
    for name in NAMES:
        record_property(f"long prompts, {name}", run.summary(name))
    assert run.steps(KV) == [(0.0, 1)]
    assert max(value for _, value in run.kv(KV)) < float(KV_TARGET.rstrip("m")) / 1000
    queue = [value for _, value in run.waiting(KV)]
    half = len(queue) // 2
    assert 50 < max(queue[:half]) < min(queue[-5:])
    assert run.first_up(OURS) < run.ended - run.began
    assert run.first_up(QUEUE) < run.ended - run.began
    assert run.waiting(OURS)[-1][1] < queue[-1] / 4


def test_long_answers(team: Tenant, prometheus: Prometheus, record_property: Any) -> None:
    """More than one replica can take: nothing waits until the cache is full, and ours does not wait for that."""
    run = Run(team, prometheus, DECODE)
    for name in NAMES:
        record_property(f"long answers, {name}", run.summary(name))
    late = run.first_up(QUEUE)
    assert max(before(run.kv(QUEUE), late)) > 0.97
    full = next(at for at, value in run.kv(QUEUE) if value > 0.9)
    assert max(before(run.waiting(QUEUE), full)) <= float(QUEUE_TARGET)
    assert run.first_up(OURS) < full < late
    assert max(value for _, value in run.kv(OURS)) < 0.95
