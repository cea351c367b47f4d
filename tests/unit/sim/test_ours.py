"""Our policy in closed loop with simulated engines: whole answers, in time, from signals that differ by load."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import pytest

from llmfleet.engine.speed import NOTHING, Speed, Start
from llmfleet.scaling.policy import Decision
from llmfleet.sim.fleet import FleetSpec, simulate
from llmfleet.sim.ours import TIMING, Ours
from llmfleet.sim.outcome import Outcome
from llmfleet.sim.rule import Timing, View
from llmfleet.sim.sequence import Limits
from llmfleet.sim.spec import Failures, Startup
from llmfleet.sim.steptime import StepTime
from llmfleet.sim.trace import Trace
from tests.unit.scaling.builders import config

H200 = FleetSpec(
    limits=Limits(blocks=922_064 // 16),
    step_time=StepTime(4.9, 0.0240, 3.5e-5, 1.5),
    startup=Startup(60, 0.2),
    max_replicas=20,
)
"""Llama-3 8B, fitted to vLLM 0.26."""
DATA_SHEET = Start(Speed(4.4e-3, 2.1e-5, 3.0e-8), 0.35, 8192, 1024)
CODING, REASONING = (2048, 28), (800, 1300)
STEP = 300.0


@dataclass
class Watched:
    """The rule, with every change that it made."""

    rule: Ours
    changes: list[tuple[float, Decision]] = field(default_factory=list)
    timing: Timing = TIMING

    def decide(self, view: View) -> int:
        wanted = self.rule.decide(view)
        if wanted != view.replicas and self.rule.decision:
            self.changes.append((view.now, self.rule.decision))
        return wanted


def ours(start: Start = DATA_SHEET, *, delay: float = 120) -> Watched:
    return Watched(Ours(replace(config(delay=delay), start=start)))


def requests(rates: Sequence[tuple[float, float]], mean: tuple[int, int], seed: int = 1) -> Trace:
    """Poisson arrivals of (until second, a second), with lengths around a mean."""
    chance, now, found = random.Random(seed), 0.0, []
    for until, rate in rates:
        while (now := now + chance.expovariate(rate)) < until:
            prompt, output = (max(1, round(part * chance.uniform(0.2, 1.8))) for part in mean)
            found.append((now, prompt, output))
        now = until
    return Trace.of(found, span=rates[-1][0])


def play(rule: Watched, trace: Trace, fleet: FleetSpec = H200) -> Outcome:
    return simulate(fleet, trace, rule)


@pytest.mark.parametrize("phase", [0.1, 1.2, 2.5, 3.7, 4.9])
def test_four_times_the_load_is_answered_in_one_decision(phase: float) -> None:
    """Prefill-bound, from 10 to 40 requests a second, which three replicas carry; whenever the step comes.

    At worst one look sees too little of it to notice, the next one raises the question, and the third answers it.
    """
    rule = ours()
    play(rule, requests([(STEP + phase, 10), (STEP + 60, 40)], CODING))
    (time, first), *more = rule.changes
    assert (first.current, first.cause) == (1, "work")
    assert 3 <= first.wanted <= 4
    assert time - STEP - phase <= 2 * rule.timing.scrape + 2
    assert not more


def test_long_answers_are_answered_before_anything_shows_them() -> None:
    """Decode-bound: KV usage would climb for two minutes with an empty queue. What arrives is known at once."""
    rule = ours()
    outcome = play(rule, requests([(STEP, 3), (STEP + 600, 12)], REASONING))
    time, first = rule.changes[0]
    assert (first.current, first.wanted, first.cause) == (1, 2, "work")
    assert time - STEP <= 15
    assert (first.totals.waiting or 0) <= 1
    assert max(sample.kv_max for sample in outcome.samples) < 0.95, (
        "the first replica, until the second one has started"
    )
    assert outcome.samples[-1].kv_max < 0.5
    assert outcome.preemptions == 0


@pytest.mark.parametrize(
    ("start", "within"),
    [
        pytest.param(DATA_SHEET, 0.1, id="data sheet"),
        pytest.param(NOTHING, 0.15, id="nothing known"),
        pytest.param(Start(Speed(2.2e-3, 1.0e-5, 1.5e-8), 0.35, 8192), 0.15, id="said to be twice as fast"),
    ],
)
def test_the_engines_speed_is_learnt_from_their_counters(start: Start, within: float) -> None:
    rule = ours(start)
    play(rule, requests([(600, 25)], CODING))
    estimate = rule.rule.state.estimate
    assert estimate is not None
    assert estimate.speed.token == pytest.approx(0.0240e-3, rel=within)


@pytest.mark.parametrize(("mean", "rate"), [(CODING, 26.0), (REASONING, 9.0), (CODING, 3.0)])
def test_a_steady_load_moves_nothing_once_it_is_met(mean: tuple[int, int], rate: float) -> None:
    rule = ours()
    play(rule, requests([(2400, rate)], mean))
    print([(t, d.message) for t, d in rule.changes])
    assert [time for time, _ in rule.changes if time > 600] == []


def test_an_idle_fleet_goes_to_zero_and_a_request_wakes_it() -> None:
    """As in a cluster with activators: what nobody uses is not paid for, and what comes at zero is answered."""
    asked = replace(config(least=0), start=DATA_SHEET, idle_to_zero=60.0)
    rule = Watched(Ours(asked))
    fleet = replace(H200, min_replicas=0, startup=Startup(60.0, 0.0))
    outcome = play(rule, Trace.of([(10.0, 100, 20), (1000.0, 100, 20)], span=2000.0), fleet)
    assert list(outcome.finished) == [1, 1]
    assert [number for number, _ in groupby(change.replicas for change in outcome.changes)] == [1, 0, 1, 0]
    assert [decision.cause for _, decision in rule.changes] == ["idle", "idle"]
    assert 60 < outcome.ttft[1] < 70
    assert outcome.gpu_hours * 3600 < 300


def test_fewer_only_to_what_carries_the_load_and_back_to_one() -> None:
    rule = ours()
    play(rule, requests([(300, 40), (1500, 16), (2400, 5)], CODING))
    numbers = [decision.wanted for _, decision in rule.changes]
    assert numbers[-1] == 1
    assert min(decision.wanted for time, decision in rule.changes if time < 1500) == 2, (
        "one would have 0.84 of its time"
    )


def test_lost_pages_and_a_crash_take_nothing_away() -> None:
    """A tenth of the pages never come, for a minute none, and an engine dies: no replica is given up for it."""
    failures = Failures(page_loss=0.1, outages=((700, 760),), crashes=(900,))
    rule = ours()
    play(rule, requests([(1500, 40)], CODING), replace(H200, failures=failures, initial=3))
    assert min((decision.wanted for _, decision in rule.changes), default=3) >= 3


def _bursty(seed: int) -> Trace:
    """Half a minute of much, two minutes of little, again and again."""
    return requests([(30.0 * (step + 1), 30 if step % 5 == 0 else 3) for step in range(80)], CODING, seed)


def test_bursts_that_come_again_and_again_do_not_make_it_flap() -> None:
    rule = ours(delay=300)
    play(rule, _bursty(1))
    downs = sum(decision.wanted < decision.current for _, decision in rule.changes)
    assert downs <= 2
    assert max(decision.wanted for _, decision in rule.changes) <= 4
