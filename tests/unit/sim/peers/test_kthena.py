"""Kthena's rule; the first cases were seen by calling its own functions."""

import pytest

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.kthena import Kthena, recommended
from llmfleet.sim.rule import View
from tests.unit.sim.peers.fleets import alike, history, seen, serving, starting

WIDE = Bounds(1, 30)


@pytest.mark.parametrize(
    ("total", "current", "expected", "why"),
    [
        (40.4, 4, 5, "1.01 of four targets: an HPA keeps four"),
        (10.5, 4, 4, "1.05 of one target is within the tolerance of one: a hole on the way down"),
        (12.0, 4, 2, "and 1.2 is not"),
        (105.0, 10, 11, "recommendation_test.go: 105 over 10"),
    ],
)
def test_the_tolerance_is_around_one_target(total: float, current: int, expected: int, why: str) -> None:
    assert recommended(total, starting=0, current=current, target=10) == expected, why


def test_starting_pods_count_as_zero_on_the_way_up() -> None:
    """recommendation_test.go: where that turns the direction nothing happens."""
    assert recommended(31.2, starting=2, current=18, target=1) == 32
    assert recommended(31.2, starting=50, current=58, target=1) == 58


def test_one_to_twelve_takes_five_at_once() -> None:
    """max(+4, twice) of the least that was there in the last 60 s: 5, then 10, then 12."""

    def busy(now: float, replicas: int) -> View:
        return seen([serving(waiting=120 if now >= 60 else 5), *alike(replicas - 1)], now=now)

    numbers = history(Kthena(WIDE), busy, range(0, 225, 15), replicas=1)
    assert numbers == [1] * 4 + [5] * 5 + [10] * 5 + [12]


def test_an_empty_memory_drops_at_once_and_a_full_one_holds() -> None:
    """10 to 2 on one low sample after a restart; with history it waits for five minutes."""
    low = seen([serving(waiting=15), *alike(9)])
    assert Kthena(WIDE).decide(low) == 2

    def falls(now: float, replicas: int) -> View:
        waiting = 100 if now < 60 else 15
        return seen([serving(waiting=waiting), *alike(replicas - 1)], now=now)

    numbers = history(Kthena(WIDE), falls, range(0, 420, 15), replicas=10)
    assert numbers[22] == 10
    assert numbers[-1] == 2


def test_no_round_while_a_pod_drains() -> None:
    pods = [serving("a", waiting=500), serving("b", waiting=0, terminating=True)]
    assert Kthena(WIDE).decide(seen(pods)) == 1


def test_blind_it_holds() -> None:
    assert Kthena(WIDE).decide(seen([starting("a"), starting("b")])) == 2
