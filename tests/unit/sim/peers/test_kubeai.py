"""KubeAI's rule, and what the real one did."""

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.kubeai import KubeAi
from tests.unit.sim.peers.fleets import history, seen

TARGET = 10


def moves(
    active: dict[float, int], *, first_tick: float, until: float, replicas: int, rule: KubeAi
) -> dict[int, float]:
    """When each number was reached. `active` maps times to the requests under way from then on."""
    times = [first_tick + 10 * step for step in range(int((until - first_tick) // 10) + 1)]

    def load(now: float) -> int:
        return max((at, count) for at, count in active.items() if at <= now)[1]

    numbers = history(rule, lambda now, n: seen(now=now, replicas=n, active=load(now)), times, replicas=replicas)
    reached: dict[int, float] = {}
    for now, number in zip(times, numbers, strict=True):
        if number != replicas:
            reached[number], replicas = now, number
    return reached


def test_the_real_one_went_up_after_152_302_and_452_s_and_down_after_176_326_and_476_s() -> None:
    """KubeAI 0.22.1 with its chart's defaults: load for four replicas at once, and none when the window knew no other.

    Its tick came 2 s after the load and 6 s after the end of it.
    """
    rule = KubeAi(Bounds(1, 10), TARGET)
    up = moves({0: 4 * TARGET}, first_tick=2, until=600, replicas=1, rule=rule)
    assert up == {2: 152, 3: 302, 4: 452}
    down = moves({0: 0}, first_tick=6, until=600, replicas=4, rule=rule)
    assert down == {3: 176, 2: 326, 1: 476}


def test_it_counts_what_waits_at_the_proxy() -> None:
    """At zero a request is an order; the window is not asked."""
    rule = KubeAi(Bounds(0, 10), TARGET)
    assert rule.decide(seen(replicas=0, active=1)) == 1


def test_a_default_of_100_sees_no_need_in_99_requests() -> None:
    rule = KubeAi(Bounds(1, 10))
    numbers = history(rule, lambda now, n: seen(now=now, replicas=n, active=99), range(0, 1200, 10), replicas=1)
    assert set(numbers) == {1}
