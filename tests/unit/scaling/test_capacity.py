"""What replicas can carry, against a simulated engine's steady states, and how the objective bears on it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfleet.api.objectives import PRESETS, Targets
from llmfleet.api.v1alpha1 import Objective, ScalingSpec
from llmfleet.engine.speed import NOTHING, Speed, Start
from llmfleet.scaling.capacity import LEAST_SHARE, Capacity
from llmfleet.scaling.load import Demand

H200 = (Speed(4.9e-3, 2.4e-5, 3.5e-8), Start(batch_tokens=8192, sequences=1024), 922_064)
A100 = (Speed(13.2e-3, 6.7e-5, 9.3e-8), Start(batch_tokens=2048, sequences=256), 150_000)
CODING, CHAT, REASONING = (2048.0, 28.0), (1155.0, 211.0), (1323.0, 1532.0)
BALANCED = PRESETS[Objective.BALANCED]
MOST = 1000


def capacity(
    gpu: tuple[Speed, Start, int], lengths: tuple[float, float], arrivals: float, targets: Targets = BALANCED
) -> Capacity:
    speed, start, kv_tokens = gpu
    prompt, output = lengths
    context = prompt + output / 2
    demand = Demand(arrivals=arrivals, prompt=prompt, output=output, context=context, tokens=0.0, reads=0.0)
    return Capacity.of(targets, demand, speed, start=start, kv_tokens=kv_tokens)


@pytest.mark.parametrize(
    ("gpu", "lengths", "rate"),
    [
        pytest.param(H200, CODING, 19.2, id="H200, coding"),
        pytest.param(H200, CHAT, 23.9, id="H200, chat"),
        pytest.param(A100, CODING, 6.9, id="A100, coding"),
        pytest.param(A100, CHAT, 8.65, id="A100, chat"),
    ],
)
def test_full_rate_is_that_of_the_simulated_engine(
    gpu: tuple[Speed, Start, int], lengths: tuple[float, float], rate: float
) -> None:
    """Requests per second at which simulated engines with these step times saturate."""
    assert capacity(gpu, lengths, 1.0).full_rate == pytest.approx(rate, rel=0.04)


@pytest.mark.parametrize(
    ("gpu", "lengths", "arrivals", "kv"),
    [
        pytest.param(A100, CHAT, 4.3, 0.19, id="A100, chat at half"),
        pytest.param(A100, CHAT, 6.1, 0.41, id="A100, chat before the cliff"),
        pytest.param(A100, REASONING, 0.66, 0.28, id="A100, reasoning"),
        pytest.param(H200, CHAT, 16.7, 0.06, id="H200, chat"),
        pytest.param(H200, CHAT, 21.5, 0.19, id="H200, chat near the limit"),
    ],
)
def test_cache_usage_is_that_of_the_simulated_engine(
    gpu: tuple[Speed, Start, int], lengths: tuple[float, float], arrivals: float, kv: float
) -> None:
    """Means of simulated steady states: the load is carried with somewhat more room than that, and not with less."""

    def carried(usage: float) -> bool:
        targets = replace(BALANCED, kv_usage=usage, utilization=1.0, ttft=1000)
        return capacity(gpu, lengths, arrivals, targets).carried(1)

    assert carried(kv * 1.3)
    assert not carried(kv * 0.7)


def test_cache_usage_grows_faster_than_load() -> None:
    """Four replicas at a quarter of the cache: three hold more than a third, by the batches' longer steps."""
    four = capacity(A100, CHAT, 4 * 5.0)
    usage = next(
        kv / 100 for kv in range(1, 100) if replace(four, places=kv / 100 * 150_000 / 1260.5, target=1.0).carried(4)
    )
    three = replace(four, places=usage * 4 / 3 * 1.05 * 150_000 / 1260.5, target=1.0, ttft=1000)
    assert not three.carried(3)


def test_batch_slots_bound_it_too() -> None:
    """Ten slots: whatever the cache could hold."""
    speed, _, kv_tokens = H200
    few = (speed, Start(batch_tokens=8192, sequences=10), kv_tokens)
    assert capacity(few, CHAT, 16.0).needed(most=MOST) > capacity(H200, CHAT, 16.0).needed(most=MOST)


def test_nothing_known_of_places() -> None:
    assert capacity((H200[0], NOTHING, 0), CHAT, 16.0).needed(most=MOST) >= 1
    free = Capacity.of(BALANCED, capacity(H200, CHAT, 16.0).demand, H200[0], start=NOTHING, kv_tokens=None)
    assert free.places is None
    assert free.needed(most=MOST) == 1


@pytest.mark.parametrize("ttft", [0.5, 1, 2, 4, 8, 30])
def test_a_shorter_time_to_first_token_leaves_more_time_free(ttft: float) -> None:
    """Coding prompts take an A100 137 ms: with half a second to the first token it may hardly ever be busy."""
    one = capacity(A100, CODING, 3.0, replace(BALANCED, ttft=ttft))
    shorter = capacity(A100, CODING, 3.0, replace(BALANCED, ttft=ttft / 2))
    assert LEAST_SHARE * 0.8 <= shorter.utilization(1) <= one.utilization(1) <= 0.8
    assert shorter.needed(most=MOST) >= one.needed(most=MOST)
    assert one.utilization(1) < 0.8 or ttft >= 8


def test_several_replicas_may_use_more_of_their_time() -> None:
    one = capacity(A100, CODING, 3.0)
    assert [round(one.utilization(count), 2) for count in (1, 4, 16)] == [0.52, 0.76, 0.8]


@pytest.mark.parametrize(
    ("targets", "ttft", "utilization", "drain"),
    [
        ({}, 2, 0.8, 60),
        ({"ttftSeconds": 4}, 4, 0.8, 120),
        ({"ttftSeconds": 0.1}, 0.1, 0.8, 15),
        ({"ttftSeconds": 600}, 600, 0.8, 600),
        ({"utilizationPercent": 65}, 2, 0.65, 60),
    ],
)
def test_an_objects_own_targets(targets: dict[str, float], ttft: float, utilization: float, drain: float) -> None:
    """The time to first token moves the time in which a queue should be gone in proportion, within bounds."""
    spec = ScalingSpec.model_validate({"maxReplicas": 2, "targets": targets})
    found = Targets.of(spec)
    assert (found.ttft, found.utilization, found.drain_seconds) == (ttft, utilization, drain)


def test_presets_go_from_eager_to_thrifty() -> None:
    presets = list(PRESETS.values())
    assert [p.utilization for p in presets] == sorted(p.utilization for p in presets)
    assert [p.ttft for p in presets] == sorted(p.ttft for p in presets)


lengths = st.tuples(st.floats(1, 30_000), st.floats(1, 5_000))


@given(st.sampled_from([H200, A100]), lengths, st.floats(0, 500), st.floats(1, 4))
def test_more_arrivals_never_need_fewer(
    gpu: tuple[Speed, Start, int], lengths: tuple[float, float], arrivals: float, more: float
) -> None:
    light, heavy = (capacity(gpu, lengths, rate).needed(most=MOST) for rate in (arrivals, more * arrivals))
    assert 1 <= light <= heavy <= MOST


@given(st.sampled_from([H200, A100]), lengths, st.floats(0.01, 50), st.integers(1, 200))
def test_what_is_needed_is_carried_and_one_less_is_not(
    gpu: tuple[Speed, Start, int], lengths: tuple[float, float], arrivals: float, most: int
) -> None:
    one = capacity(gpu, lengths, arrivals)
    needed = one.needed(most=most)
    assert needed == most or one.carried(needed)
    assert needed == 1 or not one.carried(needed - 1)
