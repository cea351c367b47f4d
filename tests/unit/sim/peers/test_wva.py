"""WVA's rules, with examples of its own tests and documents."""

import pytest

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.wva import Load
from llmfleet.sim.peers.wva_v1 import WvaV1
from llmfleet.sim.peers.wva_v2 import WvaV2, change, expected
from llmfleet.sim.rule import PodView, View
from tests.unit.sim.peers.fleets import alike, history, seen, serving, starting

WIDE = Bounds(1, 30)


def loads(*pairs: tuple[float, float]) -> list[Load]:
    return [Load(serving(str(index)), kv, queue) for index, (kv, queue) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("given", "expected", "why"),
    [
        (loads((0.75, 2), (0.76, 2)), 1, "spare KV is 0.045"),
        (loads((0.5, 3), (0.5, 3)), 1, "spare queue is 2"),
        (loads((0.2, 1), (0.3, 1), (0.25, 1)), -1, "with one less: 0.375 KV, queue 1.5"),
        (loads((0.5, 1), (0.5, 1)), 0, "with one less the KV cache would be full"),
        (loads((0.85, 2), (0.5, 6), (0.9, 7)), 1, "all are saturated"),
        (loads((0.5, 2)), 0, "one alone is never given up"),
    ],
)
def test_v1(given: list[Load], expected: int, why: str) -> None:
    """The saturation package's own tests (analyzer_test.go): ScaleUp, ScaleDownSafety, AllSaturated."""
    assert WvaV1(WIDE).step(given) == expected, why


def test_v1_adds_one_and_waits_for_it() -> None:
    """Overloaded all the time; a start takes 110 s: one replica every two minutes and more."""

    def overloaded(now: float, replicas: int) -> View:
        done = 1 + int(now // 150)
        pods = [*alike(min(done, replicas), kv=0.9, waiting=50)]
        return seen([*pods, *(starting(str(index)) for index in range(replicas - len(pods)))], now=now)

    numbers = history(WvaV1(WIDE), overloaded, range(0, 600, 15), replicas=1)
    assert numbers[:2] == [1, 2]
    assert numbers[-1] == 5


def test_from_ten_replicas_on_the_tolerance_of_the_hpa_swallows_one() -> None:
    """wva_desired_replicas 11 over 10 is 1.1; v1 then waits for what never comes."""

    def overloaded(now: float, replicas: int) -> View:
        return seen(alike(replicas, kv=0.9, waiting=50), now=now)

    assert history(WvaV1(WIDE), overloaded, range(0, 3600, 15), replicas=8)[-1] == 10


@pytest.mark.parametrize(
    ("missing", "spare", "expected"), [(1, -1, 1), (2_500, -9_000, 3), (-1, 2_500, -2), (-1, 9_900, -5), (-1, -1, 0)]
)
def test_v2_goes_all_the_way(missing: float, spare: float, expected: int) -> None:
    """cost_aware_optimizer.go: up is rounded up, down rounded down, one stays."""
    assert change(missing=missing, spare=spare, capacity=1_000, current=6) == expected


def test_v2_derives_capacity_from_arguments() -> None:
    """min(B O / (I + O), S) (I + O / 2): coding prompts are bound by the budget, chats by 256 sequences."""
    assert expected(2048, 28) == pytest.approx(8192 * 28 / 2076 * 2062)
    assert expected(1155, 211) == pytest.approx(256 * 1260.5)
    assert expected(100, 0) == 0


def engine(name: str, *, kv: float, waiting: float = 0, now: float = 0, blocks: int = 1_000) -> PodView:
    """An engine of 16 tokens a block that finishes a request of 1000 and 200 tokens each second."""
    page = EngineMetrics(
        kv_usage=kv,
        waiting=waiting,
        running=1,
        prompt_tokens=1000 * now,
        generation_tokens=200 * now,
        finished=now,
        gpu_blocks=blocks,
        block_size=16,
    )
    return PodView(name=name, created_at=0, ready_at=0, page=page, page_at=now)


def test_v2_counts_starting_replicas_as_supply() -> None:
    """Full with ten waiting: 16,000 tokens in use + 10 * 1000 queued over 12,800 * 0.85 are 2.39 replicas."""

    def busy(now: float, replicas: int) -> View:
        pods = [engine("a", kv=1.0, waiting=10, now=now)]
        return seen([*pods, *(starting(str(index)) for index in range(replicas - 1))], now=now)

    numbers = history(WvaV2(WIDE), busy, range(0, 300, 15), replicas=1)
    assert numbers[-1] == 3


def test_v2_shrinks_a_prefill_bound_fleet() -> None:
    """llm-d-autoscaling issue 1500: requests queue at 16 % of the KV cache. Once fewer than five wait, v2 sees room."""

    def calm(now: float, replicas: int) -> View:
        return seen([engine(str(index), kv=0.1, waiting=4, now=now) for index in range(replicas)], now=now)

    assert history(WvaV2(WIDE), calm, range(0, 900, 15), replicas=6)[-1] < 6


def test_without_metrics_the_number_stays() -> None:
    for rule in (WvaV1(WIDE), WvaV2(WIDE)):
        blind = history(rule, lambda now, n: seen([starting()] * n, now=now), range(0, 900, 15), replicas=4)
        assert set(blind) == {4}
