"""The HPAs and ScaledObjects that people write."""

import pytest

from llmfleet.sim.peers import keda, kubernetes
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.rule import PodView, View
from tests.unit.sim.peers.fleets import alike, history, seen, serving, starting

WIDE = Bounds(1, 100)


def test_kv_at_070() -> None:
    """ceil(4 * 0.9 / 0.7)."""
    assert kubernetes.on_kv(WIDE, 0.7).decide(seen(alike(4, kv=0.9))) == 6


def test_kv_alone_does_not_see_the_prefill_bound_fleet() -> None:
    """llm-d-autoscaling issue 662: KV usage at 0.32 while the queue grows; with the queue it asks for more."""
    fleet = seen(alike(4, kv=0.32, waiting=300))
    assert kubernetes.on_kv(WIDE, 0.7).decide(fleet) == 4
    assert kubernetes.on_kv_and_queue(WIDE, 0.7).decide(fleet) == 8


def test_waiting_is_shared_out() -> None:
    """Production-stack's tutorial: 5 a replica, so 23 in the queue are five replicas' worth."""
    assert keda.on_waiting(WIDE, 5).decide(seen(alike(3), replicas=3)) == 3
    assert keda.on_waiting(WIDE, 5).decide(seen([*alike(2, waiting=9), serving(waiting=5)])) == 5


@pytest.mark.parametrize(("threshold", "expected"), [(2, 8), (32, 4)])
def test_running(threshold: float, expected: int) -> None:
    """40 requests run on four pods: twenty replicas at 2, of which twice as many come at once; two at 32, later."""
    assert keda.on_running(WIDE, threshold).decide(seen(alike(4, running=10))) == expected


@pytest.mark.parametrize("replicas", [2, 10, 20])
def test_the_average_of_a_ratio_as_average_value_means_two_for_ever(replicas: int) -> None:
    """ceil(0.95 / 0.8) is 2 for whatever number there is: a full fleet of twenty is asked to shrink to two."""
    rule = keda.article(WIDE, 0.8)
    full = history(rule, lambda now, n: seen(alike(n, kv=0.95), now=now), range(0, 400, 15), replicas=replicas)
    assert full[-1] == 2


def test_the_average_of_the_queue_forgets_how_many_there_are() -> None:
    """45 wait on each of two: five are asked for; on five, 18 wait on each: two are."""
    assert keda.article(WIDE, 0.8).decide(seen(alike(2, kv=0.9, waiting=45))) == 4
    shrinking = history(
        keda.article(WIDE, 0.8), lambda now, n: seen(alike(n, waiting=90 / n), now=now), range(0, 900, 15), replicas=5
    )
    assert min(shrinking) == 2


def test_lost_metrics_ask_keda_to_shrink_and_the_hpa_to_hold() -> None:
    """A query without a result is 0 for KEDA (kedacore/keda issue 3065); a Pods metric without a value is an error."""

    def blind(now: float, replicas: int) -> View:
        return seen([starting(str(index)) for index in range(replicas)], now=now)

    ticks = range(0, 400, 15)
    assert history(keda.on_waiting(WIDE, 5), blind, ticks, replicas=6)[-1] == 1
    assert history(kubernetes.on_kv(WIDE, 0.7), blind, ticks, replicas=6)[-1] == 6


def test_production_stack_takes_a_pod_a_minute_for_100_tokens_a_second() -> None:
    """1000 tokens a second from one pod, which an H100 gives without effort, are ten replicas' worth."""

    def busy(now: float, replicas: int) -> View:
        page = serving(running=3).page
        assert page is not None
        first = PodView(
            name="first",
            created_at=0,
            ready_at=0,
            page=type(page)(running=3, waiting=0, generation_tokens=1000 * now, prompt_tokens=0),
            page_at=now,
        )
        return seen([first, *(starting(str(index)) for index in range(replicas - 1))], now=now)

    numbers = history(keda.production_stack(WIDE, 1), busy, range(0, 1200, 15), replicas=1)
    assert numbers[:10] == [1, 2, 2, 2, 2, 3, 3, 3, 3, 4]
    assert max(numbers) == 10
