"""The size of the KV cache, against an H200 and by hand."""

import pytest

from llmfleet.sim.capacity import (
    Memory,
    capacity,
    default_max_num_batched_tokens,
    default_max_num_seqs,
    kv_bytes_per_token,
    weights_bytes_per_gpu,
)
from llmfleet.sim.profiles import GIB, PROFILES

H200 = PROFILES["h200-8b"]


def test_an_h200_has_the_cache_that_was_measured() -> None:
    """0.92 of 139.7 GiB gave 920,192 tokens cold and 922,064 with a warm compile cache."""
    assert capacity(H200, Memory(139.7, 0.92)).tokens == pytest.approx(920_192, rel=0.005)


def test_cache_bytes_given_by_hand_are_exact() -> None:
    """`--kv-cache-memory-bytes 8G` gave exactly 65,536 tokens of 128 KiB."""
    assert capacity(H200, Memory(139.7, 0.92, kv_cache_bytes=8 * GIB)).tokens == 65_536


def test_blocks_given_by_hand_win() -> None:
    assert capacity(H200, Memory(139.7, 0.92, blocks_override=64, block_size=128)).tokens == 8_192


def test_nothing_is_left_when_weights_fill_the_share() -> None:
    assert capacity(H200, Memory(16, 0.9)).blocks == 0


@pytest.mark.parametrize(
    ("memory", "weights_gib", "kv_kib"),
    [
        (Memory(80, 0.9), 14.957, 128),
        (Memory(80, 0.9, quantization="fp8"), 7.479, 128),
        (Memory(80, 0.9, quantization="awq"), 3.739, 128),
        (Memory(80, 0.9, quantization="compressed-tensors"), 14.957, 128),
        (Memory(80, 0.9, tensor_parallel=4), 3.739, 32),
        (Memory(80, 0.9, tensor_parallel=16), 0.935, 16),
        (Memory(80, 0.9, tensor_parallel=2, pipeline_parallel=2), 3.739, 32),
        (Memory(80, 0.9, kv_cache_dtype="fp8"), 14.957, 64),
        (Memory(80, 0.9, kv_cache_dtype="bfloat16"), 14.957, 128),
    ],
)
def test_bytes_on_each_gpu(*, memory: Memory, weights_gib: float, kv_kib: int) -> None:
    assert weights_bytes_per_gpu(H200, memory) / GIB == pytest.approx(weights_gib, abs=0.001)
    assert kv_bytes_per_token(H200, memory) == kv_kib * 1024


@pytest.mark.parametrize(
    ("profile", "memory_gib", "seqs", "tokens"),
    [
        ("h200-8b", 139.7, 1024, 8192),
        ("h100-8b", 79.2, 1024, 8192),
        ("a100-40g-8b", 39.4, 256, 2048),
        ("a100-40g-8b", 79.2, 256, 2048),
        ("h200-8b", 24, 256, 2048),
        ("h200-8b", 180, 1024, 16_384),
    ],
)
def test_limits_vllm_chooses(*, profile: str, memory_gib: float, seqs: int, tokens: int) -> None:
    assert default_max_num_seqs(PROFILES[profile], memory_gib) == seqs
    assert default_max_num_batched_tokens(PROFILES[profile], memory_gib) == tokens
