"""The work term inside the policy: what it asks for, what it keeps, and when it keeps silent."""

from dataclasses import replace

import pytest

from llmfleet.engine.speed import NOTHING, Start
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.policy import Decision, decide
from llmfleet.scaling.signals import PodSignals, Quality
from llmfleet.scaling.state import REST, State
from tests.unit.scaling.builders import (
    DELAY,
    PERIOD,
    REQUEST_SECONDS,
    SPEED,
    START,
    config,
    fleet,
    interval,
    signals,
    write,
)

SETTINGS = replace(config(), start=START)
FULL_RATE = 1 / REQUEST_SECONDS


class Played:
    """A fleet under arrivals that are told each period; what it is asked to be, it is at once."""

    def __init__(self, current: int = 1, *, kv: float = 0.05, queue: float = 0.0) -> None:
        self.settings, self.state, self.now, self.current = SETTINGS, State(), 0.0, current
        self.kv, self.queue = kv, queue
        self.starting = 0

    def seen(self, rate: float, **fields: object) -> Fleet:
        ready = self.current - self.starting
        each = interval(at=self.now, arrived=rate * PERIOD / ready, running=8, kv_tokens=8 * 1050)
        one = replace(signals(self.kv, self.queue), interval=each, kv_cache_tokens=400_000, **fields)  # type: ignore[arg-type]
        return fleet(*[one] * ready, starting=self.starting)

    def step(self, rate: float) -> Decision:
        self.now += PERIOD
        decision, self.state = decide(self.settings, self.seen(rate), self.state, self.now)
        if decision.write:
            self.state = write(self.state, decision)
            self.current = decision.wanted
        return decision

    def hold(self, rate: float, seconds: float) -> Decision:
        decision = self.step(rate)
        for _ in range(int(seconds / PERIOD) - 1):
            decision = self.step(rate)
        return decision


@pytest.mark.parametrize(
    ("load", "wanted"),
    [(0.5, 1), (0.85, 1), (0.9, 2), (1.7, 2), (1.8, 3), (3.6, 5), (15.9, 20), (40.0, 20)],
)
def test_replicas_for_a_load(load: float, wanted: int) -> None:
    """In units of one replica's whole time; the target is 80 % of it, the tolerance a tenth, maxReplicas 20."""
    played = Played(1 if load < 1 else 2)
    assert played.hold(load * FULL_RATE, 120).wanted == wanted


def test_the_whole_answer_in_one_decision() -> None:
    played = Played()
    played.hold(0.5 * FULL_RATE, 300)
    first = played.step(2.2 * FULL_RATE)
    assert (first.wanted, first.write) == (1, False), "a step is measured with the look after the one that found it"
    assert played.step(2.2 * FULL_RATE).wanted == 3
    assert {played.step(2.2 * FULL_RATE).wanted for _ in range(60)} == {3}


def test_replicas_that_start_are_not_asked_for_twice() -> None:
    played = Played()
    played.hold(0.5 * FULL_RATE, 300)
    played.step(2.2 * FULL_RATE)
    played.step(2.2 * FULL_RATE)
    played.starting = 2
    assert {played.step(2.2 * FULL_RATE).wanted for _ in range(20)} == {3}


def test_keeps_what_the_load_needs_though_cache_and_queue_are_empty() -> None:
    """Three replicas at 0.7 of their time each hold 2 % of their caches."""
    played = Played(3, kv=0.02)
    assert played.hold(2.1 * FULL_RATE, 4 * DELAY).wanted == 3


def test_goes_down_only_to_what_carries_the_load_with_a_margin() -> None:
    """A load of 1.55: two would have 0.78 of their time, which is not a tenth below the target; 1.4 fits on two."""
    played = Played(4)
    assert played.hold(1.55 * FULL_RATE, 3 * DELAY).wanted == 3
    assert played.hold(1.40 * FULL_RATE, 3 * DELAY).wanted == 2


def test_after_an_up_nothing_is_taken_away_for_two_delays() -> None:
    played = Played()
    played.hold(0.5 * FULL_RATE, 2 * DELAY)
    played.hold(2.2 * FULL_RATE, 10)
    assert played.current == 3
    held = played.hold(0.5 * FULL_RATE, REST * DELAY - 2 * PERIOD)
    assert held.wanted == 3
    assert "replicas were added less than 2 x 300 s (scaleDownDelaySeconds) ago" in held.message
    assert played.hold(0.5 * FULL_RATE, DELAY).wanted == 1


def test_the_largest_of_the_three_counts() -> None:
    """KV usage asks for more than the work does: the gauge is a fact, the model an estimate."""
    played = Played(2, kv=0.9)
    decision = played.step(0.5 * FULL_RATE)
    assert (decision.wanted, decision.cause) == (4, "memory")


@pytest.mark.parametrize(
    ("starting", "fields", "asked"),
    [
        pytest.param(0, {"running_growth": 0.0}, 5, id="they stay full"),
        pytest.param(0, {"running_growth": -0.5}, 3, id="requests become fewer"),
        pytest.param(0, {"running_growth": 0.5, "queue_growth": -1.0}, 3, id="a queue becomes shorter faster"),
        pytest.param(0, {"running_growth": -0.5, "queue_growth": 1.0}, 5, id="a queue becomes longer faster"),
        pytest.param(1, {"running_growth": 0.5}, 4, id="a replica starts"),
        pytest.param(0, {"running_growth": None}, 5, id="nobody knows"),
        pytest.param(0, {"running_growth": -0.5, "kv_cache_tokens": None}, 5, id="a cache of unknown size"),
    ],
)
def test_full_caches_of_a_load_that_passes_ask_for_no_more(
    starting: int, fields: dict[str, object], asked: int
) -> None:
    """What arrives fits on two replicas; three have their caches full of what waited while they started."""
    played = Played(3 + starting)
    played.starting = starting
    played.hold(1.4 * FULL_RATE, 120)
    played.kv, played.now = 1.0, played.now + PERIOD
    known = {"kv_cache_tokens": 400_000} | fields
    ready = [replace(one.signals, **known) for one in played.seen(1.4 * FULL_RATE).replicas if one.ready]  # type: ignore[arg-type]
    decision, _ = decide(played.settings, fleet(*ready, starting=starting), played.state, played.now)
    (memory,) = (term for term in decision.terms if term.name == "memory")
    assert memory.replicas == asked
    assert ("filled by a load that passes" in memory.sentence) is (asked == 3 + starting)


def test_a_load_that_is_too_much_does_not_pass() -> None:
    """Replicas start, and what arrives needs more than all of them: the caches count again."""
    played = Played(3, kv=1.0)
    played.starting = 1
    played.now += PERIOD
    decision = played.hold(4.0 * FULL_RATE, 10)
    (memory,) = (term for term in decision.terms if term.name == "memory")
    assert "passes" not in memory.sentence
    assert decision.wanted >= 5


def test_a_queue_that_drains_in_time_asks_for_nothing_more() -> None:
    """Two replicas were added; what waits on the first one gets shorter, and starting more would not help it."""
    played = Played(3, queue=0.0)
    played.hold(2.1 * FULL_RATE, 120)
    played.now += PERIOD
    waiting = replace(signals(0.1, 300, growth=-10.0), kv_cache_tokens=400_000)
    quiet = played.seen(2.1 * FULL_RATE)
    first = replace(waiting, interval=quiet.replicas[0].signals.interval)
    seen = fleet(first, *[one.signals for one in quiet.replicas[1:]])
    decision, _ = decide(played.settings, seen, played.state, played.now)
    assert decision.wanted == 3


def test_silent_until_the_engines_speed_is_known() -> None:
    """No data sheet: the numbers made up here are too even to learn from at once, and nothing is claimed."""
    played = Played()
    played.settings = replace(SETTINGS, start=NOTHING)
    decision = played.step(0.5 * FULL_RATE)
    assert [term.name for term in decision.terms] == ["memory", "backlog"]
    assert decision.totals.utilization is None


def test_another_spec_begins_anew() -> None:
    """The engines of another hash have another speed: what was learnt is given up, what comes in is not."""
    played = Played()
    played.settings = replace(SETTINGS, start=Start(SPEED, 0.35, 8192, 1024))
    played.hold(0.5 * FULL_RATE, 300)
    learnt = played.state.estimate
    assert learnt is not None
    assert learnt.logs != learnt.of(learnt.start).logs
    seen = replace(played.seen(0.0), inputs="other")
    _, state = decide(played.settings, seen, played.state, played.now)
    assert state.estimate == learnt.of(learnt.start)
    assert state.load.lengths == played.state.load.lengths


def test_the_unknown_counts_as_no_load_and_takes_nothing_away() -> None:
    played = Played(4)
    played.hold(3.0 * FULL_RATE, 300)
    for _ in range(200):
        played.now += PERIOD
        seen = played.seen(0.1 * FULL_RATE)
        blind = fleet(*[one.signals for one in seen.replicas[:3]], PodSignals(quality=Quality.STALE))
        decision, played.state = decide(played.settings, blind, played.state, played.now)
        assert decision.wanted == 4


def test_says_its_numbers() -> None:
    played = Played(2)
    decision = played.hold(1.4 * FULL_RATE, 120)
    assert (
        "44.2 requests/s of 1000 + 100 tokens take 140 % of a replica's time (target 80 % each) asks for 2"
        in decision.message
    )
    assert decision.totals.utilization == pytest.approx(0.70, abs=0.01)
