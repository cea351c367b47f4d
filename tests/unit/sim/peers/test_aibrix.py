"""AIBrix's rules, with examples of its own tests and issues."""

import pytest

from llmfleet.sim.peers.aibrix import Apa, KpaAsCoded, KpaAsMeant, apa, kpa
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.rule import View
from tests.unit.sim.peers.fleets import alike, history, seen, starting

WIDE = Bounds(1, 100)


@pytest.mark.parametrize(
    ("replicas", "value", "target", "expected"),
    [(4, 80, 50, 7), (4, 52, 50, 4), (4, 20, 50, 2), (10, 200, 50, 20), (8, 1, 50, 4)],
)
def test_apa(replicas: int, value: float, target: float, expected: int) -> None:
    """apa.go: ceil(n * value / target) beyond 10 %, twice or half at most."""
    assert apa(replicas, value, target) == expected


@pytest.mark.parametrize(
    ("replicas", "value", "target", "expected"),
    [(1, 20, 10, 2), (2, 40, 10, 4), (2, 100, 10, 4), (4, 85, 50, 2)],
)
def test_kpa(replicas: int, value: float, target: float, expected: int) -> None:
    """kpa_test.go: 20 over 10 is 2, 40 over 10 is 4, whatever there is; twice and half bind."""
    assert kpa(replicas, value, target) == expected


def full(now: float, replicas: int) -> View:
    return seen(alike(replicas, kv=0.9), now=now)


def test_kpa_as_coded_never_asks_for_more_than_two_of_a_full_fleet() -> None:
    """0.9 over 0.5, without the factor n; APA and KPA as meant go on until the fleet is large enough."""
    ticks = range(0, 600, 10)
    assert history(KpaAsCoded(WIDE), full, ticks, replicas=1)[-1] == 2
    assert history(KpaAsCoded(WIDE), full, ticks, replicas=16)[-1] == 2
    assert history(Apa(WIDE), full, ticks, replicas=16)[-1] == 100
    assert history(KpaAsMeant(WIDE), full, ticks, replicas=16)[-1] == 100


def dipping(now: float, replicas: int) -> View:
    return seen(alike(replicas, kv=0.1 if now >= 400 else 0.5), now=now)


def test_the_cooldown_of_300_s_holds_as_meant_only() -> None:
    """AIBrix issue 2821: a low answer shrinks at once."""
    ticks = range(0, 800, 10)
    assert history(Apa(WIDE), dipping, ticks, replicas=10)[45] < 10
    held = history(KpaAsMeant(WIDE), dipping, ticks, replicas=10)
    assert held[:70] == [10] * 70
    assert held[-1] < 10


def test_pods_that_cannot_be_asked_count_as_idle() -> None:
    """One of two is at 0.9 and one starts: 0.45 is within the tolerance of 0.5, though one pod is overloaded."""
    assert Apa(WIDE).decide(seen([*alike(1, kv=0.9), starting()])) == 2
    assert history(Apa(WIDE), lambda now, n: seen([starting()] * n, now=now), range(0, 60, 10), replicas=8)[-1] == 1


def test_panic_answers_a_burst_with_the_short_window() -> None:
    """Idle for 200 s, then 0.9: after 30 s the mean of 60 s is 0.62, that of 180 s 0.24, and the first counts."""

    def burst(now: float, replicas: int) -> View:
        return seen(alike(4, kv=0.9 if now >= 200 else 0.05), now=now, replicas=replicas)

    meant = history(KpaAsMeant(WIDE), burst, range(0, 240, 10), replicas=4)
    assert meant == [4] * 23 + [5]
