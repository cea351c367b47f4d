"""Step times learnt from counters: from wrong starts, from nothing, through gaps, and never from what is not there."""

import random
from dataclasses import replace
from math import isfinite, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfleet.engine.speed import NOTHING, Speed, Start
from llmfleet.scaling.interval import Interval
from llmfleet.scaling.learning import FARTHEST, SURE, Estimate, times
from tests.unit.scaling.builders import interval

H200 = Speed(4.9e-3, 2.4e-5, 3.5e-8)
"""Llama-3 8B, measured."""
HALF, TWICE = (Start(Speed(*(factor * part for part in (4.9e-3, 2.4e-5, 3.5e-8))), 0.35, 8192) for factor in (0.6, 1.6))


def busy(speed: Speed, *, running: float, prompt: float, output: float, seconds: float = 5.0) -> Interval:
    """A busy interval of such requests on such an engine: as many steps as fit."""
    kv_tokens = running * (prompt + output / 2)
    steps = 100.0
    ended = steps * running / output
    draft = interval(
        at=0.0,
        arrived=ended,
        prompt=prompt * ended,
        generated=output * ended,
        steps=steps,
        running=running,
        kv_tokens=kv_tokens,
        seconds=seconds,
    )
    share = seconds / sum(times(draft, speed, 8192))
    return replace(
        draft,
        arrived=ended * share,
        ended=ended * share,
        prompt_tokens=prompt * ended * share,
        computed_tokens=prompt * ended * share,
        generated_tokens=output * ended * share,
        steps=steps * share,
    )


def mixed(speed: Speed, count: int, *, noise: float = 0.1) -> list[Interval]:
    """A day's mixture: coding and chat, few and many at a time; times are off by chance."""
    chance = random.Random(5)  # noqa: S311 (noise, not secrets)
    found = []
    for _ in range(count):
        prompt, output = chance.choice([(2000.0, 30.0), (1200.0, 200.0), (700.0, 1500.0)])
        one = busy(speed, running=chance.uniform(5, 250), prompt=prompt, output=output)
        found.append(replace(one, seconds=one.seconds * chance.gauss(1, noise)))
    return found


def taught(start: Start, lessons: list[Interval]) -> Estimate:
    estimate = Estimate.of(start)
    for lesson in lessons:
        estimate = estimate.learnt([lesson])
    return estimate


@pytest.mark.parametrize("start", [HALF, TWICE, NOTHING], ids=["too fast", "too slow", "unknown"])
def test_finds_the_engines_speed(start: Start) -> None:
    found = taught(start, mixed(H200, 150)).speed
    assert found.floor == pytest.approx(H200.floor, rel=0.2)
    assert found.token == pytest.approx(H200.token, rel=0.1)
    assert found.context == pytest.approx(H200.context, rel=0.2)


def test_is_unsure_without_a_start_value_until_it_was_taught() -> None:
    shares = (0.0, 0.9, 0.1)
    assert Estimate.of(NOTHING).error(shares) > SURE
    assert taught(NOTHING, mixed(H200, 30)).error(shares) < SURE
    assert Estimate.of(HALF).error((0.0, 0.5, 0.5)) < SURE


def test_an_engine_that_may_have_been_idle_teaches_only_that_it_is_not_slower() -> None:
    """Half of the time nothing was there to do: the engine is not half as fast for that."""
    idle = [replace(one, seconds=2 * one.seconds, busy=False) for one in mixed(H200, 60, noise=0.0)]
    start = Start(H200, 0.35, 8192)
    assert taught(start, idle).logs == Estimate.of(start).logs
    assert taught(TWICE, [replace(one, busy=False) for one in mixed(H200, 60, noise=0.0)]).speed.token < 2.7e-5


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(interval(at=0, arrived=5, steps=0.0), id="no step"),
        pytest.param(interval(at=0, arrived=5, disturbed=True), id="recomputation stands in no counter"),
    ],
)
def test_what_teaches_nothing(lesson: Interval) -> None:
    estimate = Estimate.of(HALF)
    assert estimate.learnt([lesson]) is estimate


def test_follows_an_engine_that_becomes_another_one() -> None:
    """A new version is twice as fast: a few minutes of its counters say so, however long the old one taught."""
    old = taught(TWICE, mixed(H200, 500))
    fast = Speed(H200.floor / 2, H200.token / 2, H200.context / 2)
    for lesson in mixed(fast, 200):
        old = old.learnt([lesson])
    assert old.speed.token == pytest.approx(fast.token, rel=0.2)


number = st.floats(0, 1e12)


@given(
    st.lists(
        st.builds(
            interval,
            at=st.just(0.0),
            arrived=number,
            growth=number,
            prompt=number,
            generated=number,
            steps=number,
            kv_tokens=number,
            seconds=st.floats(1e-3, 1e6),
            busy=st.booleans(),
        ),
        max_size=20,
    ),
    st.sampled_from([HALF, NOTHING]),
)
def test_nonsense_stays_within_bounds(lessons: list[Interval], start: Start) -> None:
    """Whatever a page claims: numbers stay finite, positive, and within reach of the start value."""
    estimate = taught(start, lessons)
    assert all(isfinite(value) for row in estimate.spread for value in row)
    origin = (log(start.speed.floor), log(start.speed.token), log(start.speed.context))
    for value, begin in zip(estimate.logs, origin, strict=True):
        assert abs(value - begin) <= FARTHEST * start.doubt + 1e-9
    assert estimate.error((0.0, 0.5, 0.5)) >= 0
