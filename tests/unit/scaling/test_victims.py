"""The idlest replicas go first, and nobody else's annotation is written."""

from hypothesis import given
from hypothesis import strategies as st

from llmfleet.scaling.fleet import Replica
from llmfleet.scaling.signals import PodSignals
from llmfleet.scaling.victims import deletion_costs
from tests.unit.scaling.builders import signals

BUSY = Replica(name="busy", signals=signals(0.5, 2, running=9), created_at=100)
CALM = Replica(name="calm", signals=signals(0.3, 0, running=3), created_at=100)
LIGHT = Replica(name="light", signals=signals(0.1, 0, running=3), created_at=100)
YOUNG = Replica(name="young", signals=signals(0.1, 0, running=3), created_at=200)
SILENT = Replica(name="silent", signals=PodSignals(), created_at=300)
STARTING = Replica(name="starting", ready=False, created_at=300)
GOING = Replica(name="going", terminating=True)


def test_order_of_going() -> None:
    """Not ready, then fewest requests, then least KV cache, then the newest; the unknown and the busiest last."""
    everyone = [BUSY, SILENT, CALM, LIGHT, YOUNG, STARTING]
    costs = deletion_costs(everyone, wanted=0)
    assert sorted(costs, key=costs.__getitem__) == ["starting", "young", "light", "calm", "busy", "silent"]
    assert len(set(costs.values())) == len(costs)


def test_only_those_that_go_are_written() -> None:
    assert deletion_costs([BUSY, CALM, YOUNG], wanted=2) == {"young": -1}


def test_one_that_was_to_go_and_stayed_is_written_back() -> None:
    spared = Replica(name="spared", signals=signals(0.9, 9), deletion_cost=-2)
    assert deletion_costs([spared, CALM], wanted=1) == {"spared": 0, "calm": -1}


def test_right_annotations_are_left_alone() -> None:
    marked = Replica(name="young", signals=YOUNG.signals, deletion_cost=-1)
    assert deletion_costs([BUSY, marked], wanted=1) == {}


def test_those_that_go_already_do_not_count() -> None:
    assert deletion_costs([BUSY, GOING], wanted=1) == {}


replicas = st.lists(
    st.builds(
        Replica,
        name=st.uuids().map(str),
        ready=st.booleans(),
        terminating=st.booleans(),
        created_at=st.floats(0, 2e9),
        deletion_cost=st.integers(-3, 3),
        signals=st.builds(signals, st.none() | st.floats(0, 1), st.none() | st.floats(0, 100)),
    ),
    max_size=8,
)


@given(replicas, st.integers(0, 10))
def test_exactly_those_above_the_wanted_number_are_negative(pods: list[Replica], wanted: int) -> None:
    changed = deletion_costs(pods, wanted=wanted)
    alive = [pod for pod in pods if not pod.terminating]
    costs = [changed.get(pod.name, pod.deletion_cost) for pod in alive]
    assert sum(cost < 0 for cost in costs) == max(0, len(alive) - wanted)
    assert all(cost <= 0 for cost in costs)
