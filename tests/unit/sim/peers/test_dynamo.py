"""The load rule of Dynamo's planner."""

import pytest

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.dynamo import Dynamo
from llmfleet.sim.rule import PodView
from tests.unit.sim.peers.fleets import seen, starting

WIDE = Bounds(1, 30)
CAPACITY = 10_000


def worker(name: str, *, held: float = 0, queued: float = 0) -> PodView:
    """With a KV cache of 10,000 tokens."""
    page = EngineMetrics(kv_usage=held / CAPACITY, waiting=0, running=0, kv_size_tokens=CAPACITY)
    return PodView(
        name=name, created_at=0, ready_at=0, page=page, page_at=0, context_tokens=held, waiting_tokens=queued
    )


@pytest.mark.parametrize(
    ("utilizations", "expected"),
    [
        ((0.7, 0.7), 2),
        ((1.01, 0.1), 3),
        ((0.59, 0.59), 1),
        ((0.59, 0.61), 2),
        ((5.0, 5.0), 3),
    ],
)
def test_any_above_one_adds_one_all_below_060_takes_one(utilizations: tuple[float, ...], expected: int) -> None:
    """_agg_easy_decision; its own test of two workers at half and half queued has no change at 0.7 either."""
    pods = [worker(str(index), held=use * CAPACITY) for index, use in enumerate(utilizations)]
    assert Dynamo(WIDE).decide(seen(pods)) == expected


def test_queued_prompts_count() -> None:
    assert Dynamo(WIDE).decide(seen([worker("a", held=6_000, queued=5_000)])) == 2


def test_nothing_while_one_starts_or_is_silent() -> None:
    """scaling_in_progress and worker_count_mismatch."""
    full = worker("a", held=12_000)
    assert Dynamo(WIDE).decide(seen([full, starting()])) == 2
    silent = PodView(name="b", created_at=0, ready_at=0)
    assert Dynamo(WIDE).decide(seen([full, silent])) == 2
