"""The memory plan against real engines, and its three verdicts."""

from typing import Any

import pytest

from llmfleet.engine.memory.batching import Batch, batch
from llmfleet.engine.memory.inputs import GIB, Gpu, Setup
from llmfleet.engine.memory.plan import Confidence, MemoryPlan, Verdict, plan
from llmfleet.engine.memory.weights import stages
from llmfleet.engine.models.architecture import read
from llmfleet.engine.version import Version
from tests.unit.engine.published import PUBLISHED, Run
from tests.unit.engine.shapes import CONFIGS, shape

H100 = Gpu(name="h100", memory_gib=79.6, capability=(9, 0), price=3.0)
H200 = Gpu(name="h200", memory_gib=140.4, capability=(9, 0))
L4 = Gpu(name="l4", memory_gib=22.5, capability=(8, 9))
T4 = Gpu(name="t4", memory_gib=15.0, capability=(7, 5))


def planned(name: str, gpu: Gpu = H100, **setup: Any) -> MemoryPlan:
    return plan(shape(name), Setup(**setup), gpu)


@pytest.mark.parametrize("run", PUBLISHED, ids=lambda run: f"{run.shape}-tp{run.ranks}")
def test_published_runs_of_vllm_0_19(run: Run) -> None:
    """The KV cache is within 2 % of what twenty real engines had; none of them started though refused."""
    found = plan(shape(run.shape), run.setup, run.gpu)
    if run.weights:
        assert found.fill.weights.likely / GIB == pytest.approx(run.weights, rel=0.006)
    assert found.kv_cache / GIB == pytest.approx(run.kv_cache(found.fill.weights.likely / GIB), rel=0.02)
    assert found.verdict is not Verdict.DOES_NOT_FIT


def test_the_first_and_last_stage_have_more_weights() -> None:
    """4.26 GiB on the first of four stages, which has the embedding (vLLM 0.19, Llama-3.1-8B)."""
    found = planned("llama-3.1-8b", pipeline_parallel=4)
    assert found.fill.weights.likely / GIB == pytest.approx(4.26, abs=0.01)


def test_left_over_layers_go_before_the_last_stage() -> None:
    assert [stage.layers for stage in stages(61, 4)] == [15, 15, 16, 15]
    assert [stage.layers for stage in stages(62, 4)] == [15, 16, 16, 15]


@pytest.mark.parametrize(
    ("name", "gpu", "setup", "verdict"),
    [
        ("llama-3.1-8b", H100, {}, Verdict.FITS),
        ("llama-3.1-8b", L4, {}, Verdict.DOES_NOT_FIT),
        ("llama-3.1-8b", L4, {"max_model_len": 8192}, Verdict.FITS),
        ("llama-3.1-8b", T4, {"max_model_len": 2048}, Verdict.DOES_NOT_FIT),
        ("llama-3.1-8b", T4, {"max_model_len": "auto"}, Verdict.DOES_NOT_FIT),
        ("llama-3.3-70b", H100, {}, Verdict.DOES_NOT_FIT),
        ("llama-3.3-70b", H100, {"tensor_parallel": 4}, Verdict.FITS),
        ("llama-3.3-70b", H100, {"tensor_parallel": 2, "quantization": "fp8"}, Verdict.FITS),
        ("llama-3.3-70b", H100, {"may_need_less": True}, Verdict.TIGHT),
        ("llama-3.1-8b", H100, {"may_need_more": True}, Verdict.TIGHT),
        ("llama-3.3-70b", H100, {"may_need_more": True}, Verdict.DOES_NOT_FIT),
        ("llama-3.1-8b", H100, {"may_need_less": True}, Verdict.FITS),
        ("llama-3.3-70b", H100, {"quantization": "humming", "max_model_len": 8192}, Verdict.TIGHT),
        ("qwen2.5-72b", H100, {"tensor_parallel": 2, "utilization": 0.95, "max_model_len": 8192}, Verdict.TIGHT),
    ],
)
def test_verdicts(name: str, gpu: Gpu, setup: dict[str, Any], verdict: Verdict) -> None:
    """Refused is only what certainly does not start; what may not start is tight."""
    assert planned(name, gpu, **setup).verdict is verdict


def test_bounds_enclose_the_estimate() -> None:
    """For every model and number of ranks: certain to be taken < estimated < what a plan counts with."""
    for name in CONFIGS:
        for ranks in (1, 2, 4, 8):
            fill = planned(name, tensor_parallel=ranks).fill
            assert fill.worst < fill.kv_cache < fill.best


def test_more_memory_never_makes_a_verdict_worse() -> None:
    order = [Verdict.DOES_NOT_FIT, Verdict.TIGHT, Verdict.FITS]
    for name in CONFIGS:
        sizes = (10.0, 15.0, 22.5, 40.0, 69.0)
        found = [planned(name, Gpu(name="x", memory_gib=size, capability=(9, 0))).verdict for size in sizes]
        assert found == sorted(found, key=order.index)


def test_the_largest_context_that_fits_is_tight_at_most_one_token_longer() -> None:
    """The largest length is planned as possible, and the next block is not."""
    found = planned("llama-3.1-8b", L4)
    assert 0 < found.largest_context < 131072
    again = planned("llama-3.1-8b", L4, max_model_len=found.largest_context)
    assert again.concurrency >= 1
    assert planned("llama-3.1-8b", L4, max_model_len="auto").context == found.largest_context
    longer = planned("llama-3.1-8b", L4, max_model_len=found.largest_context + 32)
    assert longer.concurrency < 1.02


def test_longrope_starts_with_the_unscaled_length() -> None:
    rope = {"type": "longrope", "long_factor": [1.0], "short_factor": [1.0]}
    phi = CONFIGS["phi-4"] | {
        "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rope_scaling": rope
    }  # fmt: skip
    assert plan(read(phi), Setup(), H100).context == 4096


def test_confidence_says_what_is_assumed() -> None:
    assert planned("llama-3.1-8b", version=Version(0, 26)).confidence is Confidence.HIGH
    assert planned("llama-3.1-8b", version=Version(0, 32)).confidence is Confidence.MEDIUM
    assert planned("llama-3.1-8b", tensor_parallel=2).confidence is Confidence.MEDIUM
    amd = planned("llama-3.1-8b", Gpu(name="mi300x", memory_gib=192, capability=None))
    assert (amd.confidence, amd.doubts) == (
        Confidence.LOW,
        ("The overhead is that of NVIDIA GPUs, and the profile mi300x has no compute capability.",),
    )
    odd = planned("llama-3.1-8b", kv_cache_dtype="turboquant_k8v4")
    assert "The bytes of the KV cache type turboquant_k8v4 are not known" in odd.doubts[0]
    assert planned("llama-3.1-8b", may_need_more=True).confidence is Confidence.LOW
    assert (
        "a weight takes with humming is not known: 16 are counted"
        in planned("llama-3.1-8b", quantization="humming").doubts[0]
    )


@pytest.mark.parametrize(
    ("memory", "capability", "expected"),
    [
        (15, (7, 5), Batch(2048, 256)),
        (79.6, (9, 0), Batch(8192, 1024)),
        (80, (8, 0), Batch(2048, 256)),
        (179.1, (10, 0), Batch(16384, 1024)),
        (192, None, Batch(16384, 1024)),
    ],
)
def test_batches_by_gpu(memory: float, capability: tuple[int, int] | None, expected: Batch) -> None:
    """Large GPUs take larger batches, an A100 does not."""
    assert batch(None, None, memory_gib=memory, capability=capability, longest=8192) == expected


def test_batches_that_are_asked_for() -> None:
    def of(tokens: int | None, sequences: int | None, unchunked: int = 0) -> Batch:
        return batch(tokens, sequences, memory_gib=15, capability=(7, 5), longest=32768, unchunked=unchunked)

    assert of(None, 64) == Batch(2048, 64)
    assert of(128, None) == Batch(128, 128)
    assert of(None, None, unchunked=32768) == Batch(32768, 256)
    assert batch(None, 4, memory_gib=15, capability=(7, 5), longest=100) == Batch(400, 4)
