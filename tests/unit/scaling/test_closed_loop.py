"""The policy with engines that queue, batch and fill their cache like vLLM on an H200, in simulated time."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling.fleet import Fleet, Replica
from llmfleet.scaling.policy import decide
from llmfleet.scaling.signals import read
from llmfleet.scaling.state import State
from llmfleet.scaling.track import Sample, Track, observe
from llmfleet.sim.replica import Replica as Engine
from llmfleet.sim.sequence import Limits, Request
from llmfleet.sim.steptime import StepTime
from tests.unit.scaling.builders import PERIOD, config, write

H200 = StepTime(4.9, 0.0240, 3.5e-5, 1.5)
"""Llama-3-8B shape in bfloat16, fitted to vLLM 0.26."""
KV_TOKENS = 922_064
STARTUP = 60.0
TICK = 0.1


@dataclass
class Pod:
    name: str
    ready_at: float
    engine: Engine = field(
        default_factory=lambda: Engine(limits=Limits(blocks=KV_TOKENS // 16), step_time=H200), init=False
    )
    time: float = 0.0
    finished: int = 0
    track: Track | None = None

    def run(self, until: float) -> None:
        """Steps up to a time."""
        while self.engine.busy and self.time < until:
            result = self.engine.step(self.time)
            self.time += result.duration
            self.finished += len(result.finished)
        self.time = max(self.time, until)

    def seen(self, now: float) -> Replica:
        """The pod as the policy sees it after a scrape at `now`."""
        if self.ready_at > now:
            return Replica(name=self.name, ready=False)
        gauges = EngineMetrics(
            kv_usage=min(1.0, self.engine.kv_usage),
            running=float(self.engine.running),
            waiting=float(self.engine.waiting),
            finished=float(self.finished),
        )
        self.track = observe(self.track, Sample(now, gauges))
        return Replica(name=self.name, signals=read(self.track, now=now, stale_after=20))


def replicas(rates: list[tuple[float, float]], *, prompt: int, output: int) -> Iterator[tuple[float, int]]:
    """(time, replicas) after each decision, for arrivals of (until second, requests a second) spread at random."""
    chance = random.Random(7)  # noqa: S311 (arrivals, not secrets)
    settings, state, arrival, count = config(delay=60), State(), 0.0, 0
    pods = [Pod("pod-0", 0.0)]
    for tick in range(1, round(rates[-1][0] / TICK) + 1):
        now = tick * TICK
        while arrival < now:
            count += 1
            rate = next(rate for until, rate in rates if arrival < until)
            pod = chance.choice([pod for pod in pods if pod.ready_at <= now])
            lengths = (chance.randint(1, 2 * prompt), chance.randint(1, 2 * output))
            pod.engine.submit(Request(str(count), *lengths), arrival)
            arrival += chance.expovariate(rate)
        for pod in pods:
            pod.run(now)
        if tick % round(PERIOD / TICK) == 0:
            fleet = Fleet(current=len(pods), replicas=tuple(pod.seen(now) for pod in pods))
            decision, state = decide(settings, fleet, state, now)
            state = write(state, decision) if decision.write else state
            pods += [Pod(f"pod-{now}-{i}", now + STARTUP) for i in range(decision.wanted - len(pods))]
            pods.sort(key=lambda pod: -pod.engine.running)
            pods = pods[: decision.wanted]
            yield round(now), decision.wanted


def test_long_prompts_with_short_answers() -> None:
    """Prefill binds (19 requests a second are a replica's most): KV usage stays low, and the queue has to do it all."""
    seen = dict(replicas([(60, 8), (360, 60), (540, 8)], prompt=2048, output=28))
    assert {number for time, number in seen.items() if time <= 60} == {1}
    assert seen[75] >= 4, "60/s need 3.2 replicas: found within three scrapes of the step"
    assert max(seen.values()) <= 7, "requests that wait behind the first replica are no reason for many more"
    assert min(number for time, number in seen.items() if 180 < time < 360) >= 4, (
        "kept, though cache and queue are empty"
    )
    assert seen[540] == 1


def test_long_answers_to_short_prompts() -> None:
    """Memory binds: KV usage climbs for minutes before anything waits."""
    seen = dict(replicas([(60, 2), (300, 12)], prompt=700, output=1500))
    assert max(number for time, number in seen.items() if time < 120) >= 2
    assert 2 <= seen[300] <= 6


def test_a_steady_load_within_a_replicas_means() -> None:
    """Poisson arrivals at two thirds of what a replica can do: now and then a queue, never a second replica."""
    seen = dict(replicas([(600, 12)], prompt=2048, output=28))
    assert set(seen.values()) == {1}
