"""What holds of the policy with its work term for every load: searched, and played in closed loop by the thousand.

The closed loop is a fluid model, not the simulator: requests are divisible, all replicas are alike, a queue is what
arrives beyond what they serve, and running requests follow arrivals and step time. So ten thousand fleets can be
played, each for half an hour of simulated time, with what can make a control loop swing: start-up times, delays, a
queue that has to drain, a batch that follows the load late, and rates of Poisson arrivals.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfleet.scaling.capacity import Capacity
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet, Replica
from llmfleet.scaling.load import Demand
from llmfleet.scaling.policy import decide
from llmfleet.scaling.signals import PodSignals
from llmfleet.scaling.state import REST, State
from llmfleet.scaling.terms import DRAIN_SHARE, TOLERANCE
from tests.unit.scaling.builders import PERIOD, SPEED, START, config, interval, signals, write

CACHE = 900_000
HOUR = 3600.0
PLAYED, SETTLED = HOUR / 2, HOUR / 4


@dataclass(frozen=True)
class Requests:
    """Requests of one kind."""

    rate: float
    prompt: float
    output: float

    @property
    def demand(self) -> Demand:
        context = self.prompt + self.output / 2
        return Demand(
            arrivals=self.rate, prompt=self.prompt, output=self.output, context=context, tokens=0.0, reads=0.0
        )


class Plant:
    """Replicas as a fluid."""

    def __init__(self, kind: Requests, *, startup: float, poisson: random.Random | None) -> None:
        self.kind, self.startup, self.poisson = kind, startup, poisson
        self.one = Capacity.of(config().targets, kind.demand, SPEED, start=START, kv_tokens=CACHE)
        self.born, self.queue, self.running, self.now = [-HOUR], 0.0, 0.0, 0.0

    def run(self) -> Fleet:
        """One period, and what it looked like."""
        self.now += PERIOD
        ready = sum(born + self.startup <= self.now for born in self.born)
        arrived = self._arrived()
        served = min(self.queue + arrived, ready * self.one.full_rate * PERIOD)
        self.queue += arrived - served
        each = self._seen(served, arrived, max(1, ready))
        pods = [
            Replica(name=f"p{i}", ready=i < ready, signals=each if i < ready else PodSignals())
            for i in range(len(self.born))
        ]
        return Fleet(current=len(self.born), replicas=tuple(pods))

    def scale(self, replicas: int) -> None:
        self.born = (self.born + [self.now] * replicas)[:replicas]

    def _arrived(self) -> float:
        mean = self.kind.rate * PERIOD
        return mean if self.poisson is None else max(0.0, self.poisson.gauss(mean, mean**0.5))

    def _seen(self, served: float, arrived: float, ready: int) -> PodSignals:
        """Little's law: a step takes the floor over the time that is left; a full cache bounds it."""
        rate, demand = served / PERIOD / ready, self.kind.demand
        left = max(0.02, 1 - rate * self.one.request_seconds)
        residence = demand.output * SPEED.floor / left
        steady = min(CACHE / demand.context, rate * residence)
        self.running += (steady - self.running) * min(1.0, PERIOD / residence)
        running = self.running
        done = interval(
            at=self.now,
            arrived=arrived / ready,
            ended=served / ready,
            prompt=served / ready * demand.prompt,
            generated=served / ready * demand.output,
            steps=PERIOD * left / SPEED.floor,
            running=running,
            kv_tokens=running * demand.context,
        )
        waiting = self.queue / ready
        growth = (arrived - served) / PERIOD / ready
        return replace(
            signals(min(1.0, running * demand.context / CACHE), waiting, running=running, growth=growth, finish=rate),
            interval=done,
            kv_cache_tokens=CACHE,
        )


def numbers(plant: Plant, settings: ScalingConfig, seconds: float) -> Iterator[int]:
    """spec.replicas after each decision."""
    state = State()
    for _ in range(int(seconds / PERIOD)):
        decision, state = decide(settings, plant.run(), state, plant.now)
        if decision.write:
            state = write(state, decision)
            plant.scale(decision.wanted)
        yield decision.wanted


def case(seed: int) -> tuple[Plant, ScalingConfig]:
    """One of many fleets; every second one sees Poisson arrivals."""
    chance = random.Random(seed)  # noqa: S311 (a load, not secrets)
    prompt, output = 10 ** chance.uniform(1.5, 4), 10 ** chance.uniform(0, 3.3)
    one = Requests(1.0, prompt, output)
    full = Plant(one, startup=0, poisson=None).one.full_rate
    load = chance.uniform(0.05, 12)
    kind = Requests(load * full, prompt, output)
    noise = random.Random(seed) if seed % 2 else None  # noqa: S311
    settings = replace(config(delay=chance.choice([30.0, 60.0, 120.0]), most=60), start=START)
    return Plant(kind, startup=chance.uniform(5, 180), poisson=noise), settings


def swings(seed: int, *, played: float = PLAYED) -> int:
    """Changes of direction under a steady load, once it had time to settle."""
    plant, settings = case(seed)
    found = list(numbers(plant, settings, played))[int(SETTLED / PERIOD) :]
    moves = [after - before for before, after in pairwise(found) if after != before]
    if plant.poisson is None:
        assert all(move < 0 for move in moves), f"fleet {seed}: a steady load moves {found}"
        assert found[-1] * plant.one.full_rate >= plant.kind.rate, f"fleet {seed} is too small for ever"
    return sum(one * other < 0 for one, other in pairwise(moves))


def looked(rates: list[float], replicas: int, current: int) -> int:
    """spec.replicas after a fleet has seen these rates, each for two looks; the last one is answered by then."""
    state, now, wanted = State(), 0.0, current
    for rate in rates:
        for _ in range(2):
            now += PERIOD
            done = interval(at=now, arrived=rate * PERIOD / replicas, running=8, kv_tokens=8 * 1050)
            one = replace(signals(0.02), interval=done, kv_cache_tokens=CACHE)
            seen = Fleet(current=current, replicas=tuple(Replica(name=f"p{i}", signals=one) for i in range(replicas)))
            decision, state = decide(replace(config(), start=START), seen, state, now)
            wanted = decision.wanted
    return wanted


rate = st.floats(0, 400)


@given(st.lists(rate, max_size=6), rate, rate, st.integers(1, 5), st.integers(0, 5))
def test_more_arrivals_never_ask_for_fewer(
    before: list[float], one: float, other: float, ready: int, starting: int
) -> None:
    """Whatever came before. A step is answered with its second look, so both rates stand for two."""
    light, heavy = sorted((one, other))
    found = [looked([*before, last], ready, ready + starting) for last in (light, heavy)]
    assert found[0] <= found[1]


@pytest.mark.parametrize("batch", range(4))
def test_no_limit_cycle(batch: int) -> None:
    """Fifty fleets in each batch: a steady load comes to rest, and with chance it turns round hardly ever."""
    assert sum(swings(seed) for seed in range(50 * batch, 50 * (batch + 1))) <= 2


def reversals(seed: int) -> int:
    """Changes of direction in the last half of the time of each of four rates, the first half being enough to settle.

    To settle takes a start, the rest after it, and twice the time in which a queue should drain: replicas that were
    added for what waited through the start are given back once it is gone. Without chance there are no turns, each
    rate is carried at the end of its time, and what fills the caches during a start asks for no more than its drain.
    """
    plant, settings = case(seed)
    chance = random.Random(f"levels {seed}")  # noqa: S311 (a load, not secrets)
    shortest = 2 * (REST * settings.scale_down_delay + plant.startup + 2 * settings.targets.drain_seconds)
    times = [int(shortest * chance.uniform(1, 1.5) / PERIOD) + 1 for _ in range(4)]
    played, turned = numbers(plant, settings, sum(times) * PERIOD), 0
    for looks in times:
        plant.kind = replace(plant.kind, rate=chance.uniform(0.05, 12) * plant.one.full_rate)
        before, whole = len(plant.born), list(islice(played, looks))
        found = whole[looks // 2 :]
        moves = [after - before for before, after in pairwise(found) if after != before]
        turns = sum(one * other < 0 for one, other in pairwise(moves))
        if plant.poisson is None:
            assert not turns, f"fleet {seed} at {plant.kind.rate:.2f}/s: {found}"
            assert found[-1] * plant.one.full_rate >= plant.kind.rate, (
                f"fleet {seed} is too small for {plant.kind.rate}"
            )
            steady = replace(plant.one, demand=plant.kind.demand)
            drained = ceil((1 + DRAIN_SHARE) * (1 + TOLERANCE) * steady.work)
            assert max(whole) <= max(before, drained, steady.needed(1 + TOLERANCE, most=61)), f"fleet {seed}: {whole}"
        turned += turns
    return turned


def test_comes_to_rest_at_each_of_several_rates() -> None:
    """Twenty-four fleets with four rates each, up and down: as few turns as under one steady load."""
    assert sum(reversals(seed) for seed in range(24)) <= 1


@pytest.mark.thorough
@pytest.mark.parametrize("batch", range(20))
@pytest.mark.timeout(1200)
def test_no_limit_cycle_in_ten_thousand_fleets(batch: int) -> None:
    assert sum(swings(seed, played=1.5 * SETTLED) for seed in range(500 * batch, 500 * (batch + 1))) <= 10
