"""The search for the load that one replica bears."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfleet.sim.capacity_search import bisect, poisson


@given(st.floats(0.01, 1000))
def test_bisection_finds_the_edge_from_wherever_it_starts(edge: float) -> None:
    asked: list[float] = []

    def held(rate: float) -> bool:
        asked.append(rate)
        return rate <= edge

    assert edge * 0.99 <= bisect(held, start=1.0, precision=0.01) <= edge
    assert len(asked) == len(set(asked)), "no load is tried twice: a try takes seconds"


def test_what_is_never_held_has_no_capacity() -> None:
    assert bisect(lambda _: False, start=1.0, precision=0.01) == 0.0


def test_a_higher_rate_plays_the_same_requests_closer_together() -> None:
    slow, fast = (poisson([(100, 10), (200, 20)], rate, seconds=100 / rate, seed=3) for rate in (1.0, 4.0))
    assert list(slow.prompt_tokens) == list(fast.prompt_tokens)
    assert list(slow.at) == pytest.approx([4 * at for at in fast.at])
