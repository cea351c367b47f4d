"""Step times: worked examples, and the shape every engine's must have."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfleet.sim.profiles import PROFILES
from llmfleet.sim.steptime import StepTime


@pytest.mark.parametrize(
    ("profile", "tensor_parallel", "tokens", "context", "milliseconds"),
    [
        # (4.9^1.5 + 0.024^1.5)^(2/3): one stream is the weights' time
        ("h200-8b", 1, 1, 0, 4.9011),
        # 8192 prompt tokens: (10.847 + 2756.8)^(2/3) = 197.12, and 8192 x 3.5e-5 of context
        ("h200-8b", 1, 8192, 8192, 197.412),
        # 128 decodes over 640 tokens each: (10.847 + 5.384)^(2/3) = 6.411, and 81,920 x 3.5e-5 = 2.867
        ("h200-8b", 1, 128, 81_920, 9.278),
        # linear: 6.35 + 0.0193 x 1000 + 4.28e-5 x 100,000
        ("h100-8b", 1, 1000, 100_000, 29.93),
        ("h100-8b", 2, 1000, 100_000, 18.58),
        ("h200-70b-fp8", 8, 1000, 100_000, 35.1),
        # no row for eight GPUs: as fast as four
        ("h100-8b", 8, 1000, 100_000, 12.56),
        # no row for one GPU (70 GB of weights do not fit): the smallest there is
        ("h100-70b-fp8", 1, 1, 0, 17.724),
    ],
)
def test_step_time_of_a_profile(
    *, profile: str, tensor_parallel: int, tokens: int, context: int, milliseconds: float
) -> None:
    step_time = PROFILES[profile].step_time(tensor_parallel)
    assert step_time.seconds(tokens=tokens, context=context) * 1000 == pytest.approx(milliseconds, rel=1e-3)


@given(
    name=st.sampled_from(sorted(PROFILES)),
    tokens=st.integers(1, 16_384),
    context=st.integers(0, 2_000_000),
    factor=st.floats(0.1, 1000),
)
def test_a_step_has_a_floor_grows_with_work_and_scales(*, name: str, tokens: int, context: int, factor: float) -> None:
    step_time = PROFILES[name].step_time(1)
    seconds = step_time.seconds(tokens=tokens, context=context)
    assert seconds >= step_time.alpha_ms / 1000
    assert seconds >= step_time.beta_ms * tokens / 1000
    assert step_time.seconds(tokens=tokens + 1, context=context + 1) > seconds
    assert step_time.faster(factor).seconds(tokens=tokens, context=context) == pytest.approx(seconds / factor)


@pytest.mark.parametrize(
    "coefficients", [(0, 0.02, 1e-5, 1.5), (4.9, 0, 1e-5, 1.5), (4.9, 0.02, -1e-5, 1.5), (4.9, 0.02, 1e-5, 0.5)]
)
def test_impossible_coefficients_are_refused(coefficients: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="alpha > 0"):
        StepTime(*coefficients)


def test_more_gpus_are_never_slower() -> None:
    for profile in PROFILES.values():
        rows = [profile.step_times[size] for size in sorted(profile.step_times)]
        for fewer, more in pairwise(rows):
            assert more.alpha_ms < fewer.alpha_ms
            assert more.gamma_ms < fewer.gamma_ms
