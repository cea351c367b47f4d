"""The search for the load that one replica bears."""

from hypothesis import given
from hypothesis import strategies as st

from llmfleet.sim.capacity_search import Search, bisect, highest_load
from llmfleet.sim.outcome import Slo
from llmfleet.sim.profiles import PROFILES
from llmfleet.sim.sequence import Limits
from llmfleet.sim.spec import FleetSpec


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


def test_one_replica_of_an_a100_bears_what_the_bound_on_its_work_lets_it() -> None:
    """A hundred tokens and one more, at 67 us a token and a step of at most 2,048: no queue until 140 requests/s."""
    profile = PROFILES["a100-40g-8b"]
    limits = Limits(blocks=9_400, max_num_seqs=256, max_num_batched_tokens=2048)
    fleet = FleetSpec(limits=limits, step_time=profile.step_time(1))
    found = highest_load(fleet, lambda _: (100, 1), Slo(ttft=2.0, itl=1.0), search=Search(seconds=120.0))
    assert 120 < found < 150
