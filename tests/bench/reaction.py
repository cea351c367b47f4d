"""How soon a step of load is answered: `python -m tests.bench.reaction --runs 30`, as root, about half an hour.

A whole node, the chart with its own periods (a look and a decision every 5 s), engines that play an L4. An object has
one replica and, for a minute, half the load that it may have; then the load steps to so many times what one replica is
meant for, at a random phase of the operator's cycle. What is told of each step, in seconds since then:

- detected: an engine's page shows a full cache or a queue beyond its target, seen by our own eyes each half second;
- first: spec.replicas is written the first time;
- decided: it has the value that it keeps until the run ends;
- made: as many pods exist.

And how often it was written, the most that was asked for over what the load needs, and whether anything was taken away.
Several objects are tried side by side, each in its own time. Figures are printed, never asserted.
"""

import argparse
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any

from llmfleet.api.objectives import PRESETS
from llmfleet.api.settings import ScalingSettings
from llmfleet.api.v1alpha1 import Objective
from llmfleet.engine.metrics import parse
from tests.cluster import Node, images
from tests.cluster.api import ApiError
from tests.node.stories import site
from tests.node.stories.tenant import Client, Tenant, spec, tenant

PERIODS = ScalingSettings().model_dump(by_alias=True)
"""As shipped; the stories have shorter ones."""
TARGETS = PRESETS[Objective.BALANCED]
PROMPT, OUTPUT = 600, 100
"""Tokens of each request."""
ONE_REPLICA = 2.4
"""Requests a second for which one replica is meant: with more an L4 has its share of time or cache in use."""
MOST = 12
BEFORE_SECONDS = (55.0, 60.0)
"""How long the first load lasts, at random: five seconds are one cycle."""
AFTER_SECONDS = 30.0
STARTUP_SECONDS = 30
"""Of an engine: new replicas are not there before the run ends, as with real ones, whose start takes a minute and more.
"""
PAUSE = 0.5


@dataclass
class Step:
    """What came of one step; seconds since it."""

    factor: float
    detected: float | None = None
    wishes: list[tuple[float, int]] = field(default_factory=list)
    """Each number of replicas that was asked for, and when."""
    made: float | None = None

    @property
    def needed(self) -> int:
        """Replicas that the load is meant for."""
        return ceil(self.factor)

    @property
    def final(self) -> int:
        """The number that was there in the end."""
        return self.wishes[-1][1] if self.wishes else 1

    @property
    def overshoot(self) -> float:
        """The most that was asked for, over what is needed."""
        return max((wanted for _, wanted in self.wishes), default=1) / self.needed

    @property
    def fell(self) -> bool:
        """Whether replicas were taken away within the run."""
        numbers = [1, *(wanted for _, wanted in self.wishes)]
        return any(later < earlier for earlier, later in pairwise(numbers))

    def line(self) -> str:
        """The run in a line."""
        told = " ".join(f"{at:.1f}s:{wanted}" for at, wanted in self.wishes)
        return f"{self.factor:g}x detected {_seconds(self.detected)} wishes [{told}]"


def arrivals(factor: float, *, before: float, seed: int, name: str) -> list[dict[str, Any]]:
    """Requests at random distances: half of what one replica is meant for, then `factor` times that."""
    chance, at, found = random.Random(seed), 0.0, []
    while at < before + AFTER_SECONDS:
        rate = ONE_REPLICA * (0.5 if at < before else factor)
        step = chance.expovariate(rate)
        at = before if at < before < at + step else at + step  # arrivals have no memory: the step begins afresh
        found.append({"arrival_s": at, "input_tokens": PROMPT, "output_tokens": OUTPUT, "model": name})
    return found


def engine() -> dict[str, Any]:
    """An L4, and few chunks for a stream: one client reads those of a whole fleet."""
    env = {"SIM_PROFILE": "l4-8b", "SIM_GPU_MEMORY_GIB": "22.03", "SIM_STARTUP_SECONDS": f"{STARTUP_SECONDS}"}
    return spec(
        env=[{"name": name, "value": value} for name, value in env.items()],
        engine={"maxNumSeqs": 64, "extraArgs": ["--stream-interval", "50"]},
        scaling={"minReplicas": 1, "maxReplicas": MOST},
        gpu={"profile": "l4"},
    )


PROFILE = {
    "name": "l4",
    "resourceName": "nvidia.com/gpu",
    "memoryGiB": 22.03,
    "computeCapability": "8.9",
    "bandwidthGBs": 300,
    "tflops": 121,
    "gpusPerNode": 64,
    "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "512Mi"}},
}


class Eyes:
    """Looks at an engine's page until it shows that one replica is not enough."""

    def __init__(self, team: Tenant, name: str) -> None:
        self._team, self._name = team, name
        self._over = threading.Event()
        self.seen_at: list[float] = []
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(PAUSE):
            with suppress(ApiError, IndexError):
                pod = self._team.ready(self._name)[0]
                path = f"/api/v1/namespaces/{self._team.namespace}/pods/{pod}:8000/proxy/metrics"
                page = parse(self._team.cluster.api.text(path))
                if (page.kv_usage or 0) > TARGETS.kv_usage or (page.waiting or 0) > TARGETS.waiting:
                    self.seen_at.append(time.monotonic())

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()


def run(team: Tenant, number: int, *, factor: float, then: int | None) -> Step:
    """One step of an object that was applied before; `then` is the one to apply now, which starts meanwhile."""
    name, before = f"run-{number}", random.Random(number).uniform(*BEFORE_SECONDS)
    team.until_settled(name, replicas=1)
    if then is not None:
        team.apply(f"run-{then}", engine())
    plan = arrivals(factor, before=before, seed=number, name=name)
    client = Client(team, f"load-{number}", urls=team.urls(name), requests=plan)
    client.until_started()
    began = next(line["at"] for line in client.lines() if line["event"] == "begin")
    step_at = began + before - (time.time() - time.monotonic())
    time.sleep(max(0.0, step_at - time.monotonic()))
    eyes = Eyes(team, name)
    time.sleep(AFTER_SECONDS)
    eyes.close()
    found = Step(factor, detected=next((at - step_at for at in eyes.seen_at), None))
    _read(team, name, step_at, found)
    team.kubectl("delete", f"llm/{name}", f"pod/load-{number}", f"configmap/load-{number}", "--wait=false")
    return found


def _read(team: Tenant, name: str, step_at: float, found: Step) -> None:
    """What the watch has told of the object and its pods."""
    pods, wanted = set(), 1
    for event in list(team.watch.history):
        at = event.at - step_at
        if event.kind == "LLMDeployment" and event.name == name and event.body["spec"]["replicas"] != wanted:
            wanted = event.body["spec"]["replicas"]
            found.wishes.append((at, wanted))
            found.made = None
        if event.kind == "Pod" and event.body["metadata"].get("labels", {}).get("llmfleet.io/deployment") == name:
            pods.add(event.name)
            if len(pods) >= wanted > 1 and found.made is None:
                found.made = at


def figures(steps: Sequence[Step]) -> Iterator[str]:
    """All runs of one factor in a few lines."""
    factor, count = steps[0].factor, len(steps)
    yield f"{count} steps to {factor:g} times what one replica is meant for; needed: {steps[0].needed} replicas"
    columns = {
        "detected": [step.detected for step in steps],
        "first": [step.wishes[0][0] if step.wishes else None for step in steps],
        "decided": [step.wishes[-1][0] if step.wishes else None for step in steps],
        "made": [step.made for step in steps],
    }
    for name, values in columns.items():
        known = sorted(value for value in values if value is not None)
        yield f"  {name}: p50 {_at(known, 0.5)}, p95 {_at(known, 0.95)}, worst {_at(known, 1.0)} ({len(known)} runs)"
    yield f"  decisions: {_counted(len(s.wishes) for s in steps)}; final replicas: {_counted(s.final for s in steps)}"
    yield f"  overshoot: at most {max(step.overshoot for step in steps):.2f}; fell: {sum(step.fell for step in steps)}"


def _counted(values: Iterator[int]) -> str:
    numbers = list(values)
    return ", ".join(f"{value} x{numbers.count(value)}" for value in sorted(set(numbers)))


def _at(ordered: Sequence[float], share: float) -> str:
    """The nearest rank."""
    return _seconds(ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def measure(runs: int, factors: Sequence[float], *, beside: int) -> Iterator[str]:
    """Lines of figures for each factor."""
    archives = [images.archive(name) for name in (images.OPERATOR, images.SIM_ENGINE)]
    with Node(gpus=beside * (MOST + 2)) as node:
        for archive in archives:
            node.load_image(archive)
        values = site.values()["settings"]
        profiles = [*values["gpuProfiles"], PROFILE]
        site.install(node, extra={"settings": {"scaling": PERIODS, "gpuProfiles": profiles}})
        with tenant(node, "reaction") as team, ThreadPoolExecutor(beside) as lanes:
            numbers = range(runs * len(factors))
            for number in numbers[:beside]:
                team.apply(f"run-{number}", engine())
            following = {n: n + beside for n in numbers if n + beside in numbers}
            asked = [lanes.submit(run, team, n, factor=factors[n // runs], then=following.get(n)) for n in numbers]
            for place in range(len(factors)):
                steps = []
                for one in asked[place * runs : (place + 1) * runs]:
                    steps.append(one.result())
                    yield f"  {steps[-1].line()}"
                yield from figures(steps)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30, help="steps of each size (default: 30)")
    parser.add_argument("--factors", type=float, nargs="+", default=[4.0, 2.0], help="sizes (default: 4 2)")
    parser.add_argument("--beside", type=int, default=4, help="objects at a time (default: 4)")
    arguments = parser.parse_args()
    for line in measure(arguments.runs, arguments.factors, beside=arguments.beside):
        print(line, flush=True)


if __name__ == "__main__":
    main()
