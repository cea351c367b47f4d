"""What is advised when a model does not fit: it is true, it is possible, and the cheapest stands first."""

from typing import Any

import pytest

from llmfleet.engine.memory.inputs import Gpu, Setup
from llmfleet.engine.memory.plan import Verdict, plan
from llmfleet.engine.memory.remedies import Kind, Remedy, remedies
from llmfleet.engine.version import Version
from tests.unit.engine.shapes import CONFIGS, shape

T4 = Gpu(name="t4", memory_gib=15.0, capability=(7, 5), per_node=4)
L4 = Gpu(name="l4", memory_gib=22.5, capability=(8, 9), price=0.8)
A100 = Gpu(name="a100", memory_gib=80.0, capability=(8, 0), price=1.3)
H100 = Gpu(name="h100", memory_gib=79.6, capability=(9, 0), price=2.95)
H200 = Gpu(name="h200", memory_gib=140.4, capability=(9, 0), price=4.0)
B200 = Gpu(name="b200", memory_gib=179.1, capability=(10, 0))
MI300X = Gpu(name="mi300x", memory_gib=192.0, capability=None, price=1.99)
ALL = (T4, L4, A100, H100, H200, B200, MI300X)


def advised(name: str, gpu: Gpu, **setup: Any) -> tuple[Remedy, ...]:
    architecture = shape(name)
    return remedies(architecture, plan(architecture, Setup(**setup), gpu), ALL)


def told(found: tuple[Remedy, ...]) -> list[str]:
    return [
        ", ".join(f"{change.field.removeprefix('spec.')}={change.value}" for change in one.changes) for one in found
    ]


@pytest.mark.parametrize(
    ("name", "gpu", "setup", "first", "others"),
    [
        # a shorter context costs nothing
        ("llama-3.1-8b", L4, {}, "engine.maxModelLen=", ["gpu.profile=a100"]),
        # weights that are too large: more GPUs, or cheaper ones with more memory
        ("llama-3.3-70b", H100, {}, "gpu.profile=a100, gpu.tensorParallelSize=4", ["gpu.tensorParallelSize=4"]),
        # what changes no GPU stands before cheaper ones
        (
            "qwen3-32b",
            H100,
            {"max_model_len": 40960},
            "engine.maxModelLen=",
            ["engine.quantization=fp8_per_tensor", "gpu.profile=a100, gpu.tensorParallelSize=2"],
        ),
        # more of the memory, less of it
        ("qwen3-8b", H100, {"utilization": 0.2}, "engine.gpuMemoryUtilization=0.9", []),
        ("qwen3-8b", H100, {"utilization": 0.97}, "engine.gpuMemoryUtilization=0.9", ["engine.maxNumSeqs=256"]),
    ],
)
def test_the_cheapest_stands_first(name: str, gpu: Gpu, setup: dict[str, Any], first: str, others: list[str]) -> None:
    found = told(advised(name, gpu, **setup))
    assert found[0].startswith(first)
    assert set(others) <= set(found)


def test_every_remedy_is_better_possible_and_of_its_own_kind() -> None:
    """For every model on every GPU: planned again it starts, no GPU is asked for that a node does not have."""
    seen = 0
    for name in CONFIGS:
        architecture = shape(name)
        for gpu in ALL:
            for ranks in (1, 2):
                now = plan(architecture, Setup(tensor_parallel=ranks), gpu)
                if now.verdict is Verdict.FITS:
                    continue
                found = remedies(architecture, now, ALL)
                seen += len(found)
                assert len({remedy.kind for remedy in found}) == len(found) <= 4
                for remedy in found:
                    again = plan(architecture, remedy.plan.setup, remedy.plan.gpu)
                    assert again.verdict is remedy.plan.verdict is not Verdict.DOES_NOT_FIT
                    assert again.setup.gpus <= again.gpu.per_node
                    assert architecture.attention_heads % again.setup.tensor_parallel == 0
                    assert remedy.price is None or remedy.price == 0 or again.gpu != gpu or again.setup.gpus > ranks
    assert seen > 100


def test_what_the_gpu_or_the_checkpoint_rules_out_is_not_advised() -> None:
    assert not any("quantization" in words for words in told(advised("deepseek-v3", H100)))
    assert not any("kvCacheDtype" in words for words in told(advised("qwen3-8b", T4, max_model_len=40960)))
    assert not any("nvfp4" in words for words in told(advised("llama-3.3-70b", H100, version=Version(0, 19))))
    assert not any("mi300x" in words for words in told(advised("llama-3.3-70b", H100)))
    assert not any("t4" in words or "a100" in words for words in told(advised("qwen3-8b", L4, quantization="fp_quant")))
    assert all(one.plan.gpu.capability != (7, 5) for one in advised("qwen3-32b", L4, dtype="bfloat16"))


def test_two_changes_where_one_is_not_enough() -> None:
    """70 billion parameters and 131,072 tokens on four L4 of 22 GiB: eight of them, with eight bits."""
    found = advised("llama-3.3-70b", L4, tensor_parallel=4)
    assert "engine.quantization=fp8_per_tensor, gpu.tensorParallelSize=8" in told(found)


def test_the_name_of_online_fp8_follows_the_version() -> None:
    """Plain fp8 is deprecated for unquantized checkpoints since 0.31."""
    old = told(advised("qwen3-32b", H100, max_model_len=40960, version=Version(0, 26)))
    assert "engine.quantization=fp8" in old


def test_other_gpus_cost_what_they_cost() -> None:
    (profile,) = (one for one in advised("llama-3.3-70b", H100) if one.kind is Kind.PROFILE)
    assert profile.price == pytest.approx(4 * 1.3 - 2.95)
