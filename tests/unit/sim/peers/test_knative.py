"""Knative's rule, with examples of its own tests (knative.dev/serving v0.51.0, scaling/autoscaler_test.go)."""

from collections.abc import Callable

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.knative import UTILIZATION, Knative
from tests.unit.sim.peers.fleets import alike, history, seen

WIDE = Bounds(0, 5000)


def numbers(rule: Knative, load: Callable[[float], int], *, seconds: int, ready: int) -> list[int]:
    """One number a tick, with so many ready pods all the time."""
    return history(rule, lambda now, _: seen(alike(ready), now=now, active=load(now)), range(0, seconds, 2), replicas=1)


def test_stable_mode_rounds_up() -> None:
    """StableModeIncreaseWithConcurrencyDefault: concurrency 101 at a target of 10 is eleven pods."""
    assert numbers(Knative(WIDE, 10 / UTILIZATION), lambda _: 101, seconds=2, ready=8) == [11]


def test_panic_doubles_at_once_and_shrinks_only_after_the_stable_window() -> None:
    """PanicThenUnPanicScaleDown: 100 in flight on ten pods, a burst of 1000, then 1.

    All of the burst is answered within the panic window, and given back no sooner than a stable window after it.
    """
    rule = Knative(WIDE, 10 / UTILIZATION)

    def burst(now: float) -> int:
        return 1000 if 120 <= now < 130 else 100 if now < 130 else 1

    got = numbers(rule, burst, seconds=300, ready=10)
    assert got[59] == 10
    assert got[60] == 40
    assert max(got[60:64]) == 100
    assert got[64:94] == [100] * 30
    assert got[-1] == 5


def test_it_begins_in_panic_when_there_is_more_than_one_pod() -> None:
    """StartInPanicMode: without history nothing shrinks for a stable window."""
    got = numbers(Knative(WIDE, 100), lambda _: 0, seconds=70, ready=6)
    assert got[:31] == [6] * 31
    assert got[31:] == [3] * 4


def test_down_by_half_at_most() -> None:
    """RateLimitScaleDown, at the default rate of 2."""
    rule = Knative(WIDE, 100)
    assert rule.decide(seen(alike(1), active=1)) == 1
    assert rule.decide(seen(alike(100), now=2, active=1)) == 50
