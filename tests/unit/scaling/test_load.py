"""What comes in: rates that step, lengths that are learnt, and what must not be taken for load."""

import random

import pytest

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling.interval import Interval, between
from llmfleet.scaling.load import SILENCE, WINDOW, Load
from llmfleet.scaling.track import Sample
from tests.unit.scaling.builders import PERIOD, interval

FULL = EngineMetrics(
    kv_usage=0.5,
    running=6.0,
    waiting=2.0,
    finished=100.0,
    prompt_tokens=5000.0,
    prefix_cache_hits=1000.0,
    generation_tokens=3000.0,
    steps=400.0,
    preemptions=0.0,
    kv_size_tokens=10_000,
)


def later(**values: float | None) -> Interval | None:
    fields = {name: getattr(FULL, name) for name in FULL.__slots__}
    return between(Sample(10, FULL), Sample(15, EngineMetrics(**fields | values)))


def test_an_interval_counts_what_changed() -> None:
    """Four ended, two more run, one more waits: seven came. A third of the prompts was in the prefix cache."""
    seen = later(finished=104.0, running=8.0, waiting=3.0, prompt_tokens=5900.0, prefix_cache_hits=1300.0, steps=450.0)
    assert seen is not None
    assert (seen.seconds, seen.arrived, seen.admitted) == (5, 7, 6)
    assert (seen.prompt_tokens, seen.computed_tokens, seen.steps) == (900, 600, 50)
    assert (seen.running, seen.kv_tokens, seen.busy, seen.disturbed) == (7, 5000, True, False)


@pytest.mark.parametrize("name", ["finished", "prompt_tokens", "generation_tokens", "steps", "kv_usage", "running"])
def test_a_page_without_a_counter_gives_no_interval(name: str) -> None:
    assert later(**{name: None}) is None


def test_more_hits_than_prompts_are_no_negative_work() -> None:
    """Hits are counted when a request is scheduled, prompts when its first token comes."""
    seen = later(prompt_tokens=5100.0, prefix_cache_hits=1900.0)
    assert seen is not None
    assert seen.computed_tokens == 0


def test_an_engine_that_preempts_is_disturbed_and_one_with_few_requests_may_have_been_idle() -> None:
    seen = later(preemptions=1.0, running=3.0, waiting=0.0)
    assert seen is not None
    assert (seen.disturbed, seen.busy) == (True, False)


def after(rates: list[float], load: Load = SILENCE, *, replicas: int = 1, start: float = 0.0) -> Load:
    """The load after looks at these rates, each spread over the replicas."""
    for step, rate in enumerate(rates, start=1):
        at = start + step * PERIOD
        load = load.after([interval(at=at, arrived=rate * PERIOD / replicas) for _ in range(replicas)])
    return load


def test_demand_is_the_sum_over_replicas_whatever_their_number() -> None:
    """New replicas share the same arrivals; the mean of the past must not be counted for them once more."""
    load = after([12.0] * 20)
    load = after([12.0] * 3, load, replicas=4, start=100)
    assert load.demand is not None
    assert load.demand.arrivals == pytest.approx(12)


def test_too_little_was_seen() -> None:
    assert SILENCE.demand is None
    assert after([1.0]).demand is None


def test_the_same_page_counts_once() -> None:
    load = after([12.0] * 20)
    again = load.after([interval(at=20 * PERIOD, arrived=500)])
    assert again is load


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_a_step_is_known_in_full_with_the_second_look_that_has_seen_it(share: float) -> None:
    """A step in the middle of a look shows a part of its height only: nothing is concluded from that."""
    load = after([10.0] * 24)
    first = after([10 + share * 30], load, start=120)
    assert first.demand is not None
    assert first.demand.arrivals < 15
    second = after([40.0], first, start=125)
    third = after([40.0], second, start=130)
    assert second.demand is not None
    assert third.demand is not None
    known = third.demand if share == 0 else second.demand
    assert known.arrivals == pytest.approx(40)


@pytest.mark.parametrize("height", [6, 8, 12, 20])
def test_a_step_is_known_at_the_second_full_look_however_high_and_uneven(height: float) -> None:
    """The look that raised the question is far from those before: counted among them it would hide the step."""
    load = after([1.2 * height, 1.0 * height], after([1.0, 1.4] * 10), start=100.0)
    assert load.demand is not None
    assert load.demand.arrivals > 0.95 * height


@pytest.mark.parametrize(
    ("looks", "rates", "known"),
    [
        pytest.param((2.6, 4.4), (11.0,), 11.0, id="chance raised the question, and the next look saw the beginning"),
        pytest.param((2.4, 5.4), (9.0,), 9.0, id="a little more by chance, then the beginning, not sure yet"),
        pytest.param((2.2, 2.2, 10.4), (9.4,), 9.9, id="sure with those before it, but of which height"),
        pytest.param((2.6, 1.4, 9.2), (8.8,), 9.0, id="no part of the step is in those before"),
        pytest.param((10.4,), (7.0,), 8.7, id="the first look saw no less of the step than the second"),
        pytest.param((2.0, 4.0), (6.9,), 6.9, id="the first look saw far less of the step"),
    ],
)
def test_a_step_is_left_open_until_a_look_has_seen_its_height(
    looks: tuple[float, ...], rates: tuple[float, ...], known: float
) -> None:
    """From 1.2 a second to several times that. All of these were answered by too few replicas, and by more later."""
    first = after(list(looks), after([1.2, 0.8, 1.6, 1.2] * 4), start=16 * PERIOD)
    assert first.rising
    second = after(list(rates), first, start=(16 + len(looks)) * PERIOD)
    assert not second.rising
    assert second.demand is not None
    assert second.demand.arrivals == pytest.approx(known, rel=0.02)


@pytest.mark.parametrize(("third", "known"), [(9.0, 7.2), (2.0, 1.5)])
def test_a_step_that_is_likely_is_left_open_for_one_more_look(third: float, known: float) -> None:
    """Three seconds at the new rate may be too few to be sure: a full cache would then get its one replica."""
    load = after([2.9], after([1.2, 0.8, 1.6, 1.2] * 4), start=80.0)
    load = load.after([interval(at=88.0, seconds=3.0, arrived=18)])
    assert load.rising
    load = load.after([interval(at=90.0, seconds=2.0, arrived=2 * third)])
    assert not load.rising
    assert load.demand is not None
    assert load.demand.arrivals == pytest.approx(known, rel=0.05)


@pytest.mark.parametrize("growth", [1.05, 1.2, 1.5, 2.0])
def test_no_climb_is_left_open_for_long(growth: float) -> None:
    """While it is, nothing is added: three looks in a row are eleven seconds."""
    longest = 0
    for seed in range(40):
        chance = random.Random(seed)  # noqa: S311 (arrivals, not secrets)
        load, at, rate, open_looks = SILENCE, 0.0, 2.0, 0
        for look in range(40):
            seconds = 3.0 if load.rising else PERIOD
            rate = min(100.0, rate * growth ** (seconds / PERIOD)) if look >= 20 else rate
            at += seconds
            mean = rate * seconds
            count = max(0, round(chance.gauss(mean, mean**0.5)))
            load = load.after([interval(at=at, seconds=seconds, arrived=count)])
            open_looks = open_looks + 1 if load.rising else 0
            longest = max(longest, open_looks)
    assert 1 <= longest <= 3


def test_a_first_sign_that_was_chance_is_over_with_the_next_look() -> None:
    load = after([3.4], after([1.2, 0.8, 1.6, 1.2] * 4), start=80.0)
    assert load.rising
    load = after([1.2], load, start=85.0)
    assert not load.rising
    assert load.demand is not None
    assert load.demand.arrivals < 1.5


def test_a_step_at_a_low_rate_is_never_lost() -> None:
    """From 1.2 to 9.6 requests a second, drawn a hundred times: two short looks may each be too few to be sure.

    The second look comes three seconds after the first. What no look shows alone, all since the step show together.
    """
    known = []
    for seed in range(100):
        chance = random.Random(seed)  # noqa: S311 (arrivals, not secrets)
        looks = [(PERIOD, 1.2)] * 12 + [(PERIOD, 1.2 + chance.random() * 8.4), (3.0, 9.6), (2.0, 9.6), (PERIOD, 9.6)]
        load, at = SILENCE, 0.0
        for seconds, rate in looks:
            at += seconds
            count = sum(chance.random() < rate * seconds / 1000 for _ in range(1000))
            load = load.after([interval(at=at, seconds=seconds, arrived=count)])
        assert load.demand is not None
        known.append(load.demand.arrivals)
    assert min(known) > 0.5 * 9.6
    assert sum(known) / len(known) == pytest.approx(9.6, rel=0.05)


def test_right_after_a_step_lengths_are_those_from_before() -> None:
    """A young batch has many tokens and few ends: its answers look three times as long as they are."""
    load = after([4.0] * 24)
    before = load.demand
    for step in range(1, 4):
        young = interval(at=24 * PERIOD + step * PERIOD, arrived=80, ended=20, growth=0, generated=6000)
        load = load.after([young])
    assert before is not None
    assert load.demand is not None
    assert load.demand.arrivals == pytest.approx(16)
    assert load.demand.output == pytest.approx(before.output)


def test_what_came_before_a_pause_is_no_part_of_the_rate() -> None:
    """At zero replicas, or without metrics, nobody looks: afterwards only what is seen then counts."""
    load = after([12.0] * 20)
    load = after([3.0] * 2, load, start=20 * PERIOD + WINDOW)
    assert load.demand is not None
    assert load.demand.arrivals == pytest.approx(3)


def test_a_single_crowded_look_is_no_step() -> None:
    load = after([10.0] * 24 + [40.0, 10.0])
    assert load.demand is not None
    assert load.demand.arrivals == pytest.approx(10, rel=0.15)
    assert not load.rising


def test_bursts_that_are_usual_are_no_steps() -> None:
    """Every tenth look has eight times as many: the mean counts."""
    load = after([30.0 if step % 6 == 5 else 4.0 for step in range(60)])
    assert load.demand is not None
    assert load.demand.arrivals < 12


def test_chance_is_no_step() -> None:
    """Independent arrivals at 2 and at 40 a second, for an hour each: the rate never jumps."""
    chance = random.Random(3)  # noqa: S311 (arrivals, not secrets)
    for rate in (2.0, 40.0):
        load, jumps = SILENCE, 0
        for step in range(720):
            count = sum(chance.random() < rate * PERIOD / 1000 for _ in range(1000))
            load = load.after([interval(at=(step + 1) * PERIOD, arrived=count)])
            jumps += step > WINDOW / PERIOD and len(load.flows) < WINDOW / PERIOD
        assert jumps <= 24, "at most once in an hour"


def test_lengths_of_requests_that_are_still_running_do_not_make_answers_look_long() -> None:
    """Two minutes of growth: 10 requests/s of 400 tokens come, and their answers take a minute."""
    load = SILENCE
    for step in range(24):
        batch = min(600.0, 10 * PERIOD * (step + 1))
        growth = 50.0 if step < 12 else 0.0
        ended = 50.0 - growth
        generated = (batch - growth / 2) * PERIOD * 400 / 60
        load = load.after(
            [interval(at=(step + 1) * PERIOD, arrived=50, ended=ended, growth=growth, generated=generated)]
        )
    assert load.demand is not None
    assert load.demand.output == pytest.approx(400, rel=0.1)


def test_lengths_follow_a_new_kind_of_requests() -> None:
    load = SILENCE
    for step in range(720):
        prompt = 200.0 if step < 360 else 4000.0
        load = load.after([interval(at=(step + 1) * PERIOD, arrived=50, prompt=50 * prompt)])
    assert load.demand is not None
    assert load.demand.prompt == pytest.approx(4000, rel=0.1)


def test_next_to_no_arrivals_are_no_arrivals() -> None:
    """The smallest number there is must not become a division by zero."""
    load = after([5e-324] * 4 + [0.0, 5e-324])
    assert not load.rising
    assert load.burstiness == 1
