"""Bytes of the KV cache, to the byte: vLLM's rules for heads, types, latent attention, windows and recurrent states."""

from typing import Any

import pytest

from llmfleet.engine.memory import cache_layers
from llmfleet.engine.memory.inputs import Setup
from llmfleet.engine.memory.kv_cache import LayerKind, Layout, lay_out, token_bytes
from tests.unit.engine.shapes import shape

KIB = 1024


@pytest.mark.parametrize(
    ("name", "ranks", "dtype", "expected"),
    [
        ("qwen3-0.6b", 1, None, 112 * KIB),
        ("llama-3.1-8b", 1, None, 128 * KIB),
        ("llama-3.1-8b", 2, None, 64 * KIB),
        ("llama-3.1-8b", 4, "auto", 32 * KIB),
        ("llama-3.1-8b", 8, None, 16 * KIB),
        ("llama-3.1-8b", 16, None, 16 * KIB),
        ("llama-3.1-8b", 1, "fp8", 64 * KIB),
        ("llama-3.1-8b", 1, "fp8_e5m2", 64 * KIB),
        ("llama-3.1-8b", 1, "int8_per_token_head", 64 * KIB + 32 * 8 * 8),
        ("llama-3.1-8b", 1, "int4_per_token_head", 32 * KIB + 32 * 8 * 8),
        ("llama-3.1-8b", 1, "nvfp4", 32 * 8 * 2 * (64 + 8)),
        ("qwen3-32b", 1, None, 256 * KIB),
        ("qwen3-32b", 4, None, 64 * KIB),
        ("llama-3.3-70b", 1, None, 320 * KIB),
        ("llama-3.3-70b", 4, None, 80 * KIB),
        ("llama-3.3-70b", 8, None, 40 * KIB),
        ("deepseek-v3", 1, None, 61 * 1152),
        ("deepseek-v3", 8, None, 61 * 1152),
        ("deepseek-v3", 8, "fp8", 61 * 576),
        ("deepseek-v3", 8, "fp8_ds_mla", 61 * 656),
        ("deepseek-v3", 8, "nvfp4_ds_mla", 61 * 352),
    ],
)
def test_bytes_of_a_token(name: str, ranks: int, dtype: str | None, expected: int) -> None:
    """The examples of vLLM's own arithmetic; more ranks than heads copy the heads, latent vectors are always copied."""
    setup = Setup(tensor_parallel=ranks, kv_cache_dtype=dtype)
    assert token_bytes(cache_layers.kinds(shape(name), setup)) == expected


def test_a_model_in_float32_takes_twice_as_much() -> None:
    assert token_bytes(cache_layers.kinds(shape("llama-3.1-8b"), Setup(dtype="float"))) == 256 * KIB


def laid_out(*kinds: LayerKind, **more: Any) -> Layout:
    return lay_out(kinds, **({"in_flight": 8192} | more))


def test_layers_of_one_kind_share_one_block_table() -> None:
    """8 GiB hold exactly 65,536 tokens of Llama-3-8B (measured on vLLM 0.26)."""
    layout = laid_out(LayerKind(layers=32, token_bytes=4096))
    assert layout.block_bytes == 2 << 20
    assert layout.concurrency(8 << 30, 8192) * 8192 == 65_536


def test_windows_are_grouped_to_the_fewest_layers_of_a_kind() -> None:
    """Gemma 3 27B has 10 full and 52 window layers: one group and six, two of them padded to ten layers."""
    full, window = LayerKind(layers=10, token_bytes=8192), LayerKind(layers=52, token_bytes=8192, window=1024)
    layout = laid_out(full, window, in_flight=2048)
    assert (layout.block_bytes, len(layout.groups)) == (10 * 8192 * 16, 7)
    held = -(-(1023 + 2048) // 16) + 1
    assert layout.request_blocks(8192) == 512 + 6 * held


def test_kinds_of_almost_equal_number_are_padded_to_the_larger() -> None:
    """13 full and 12 window layers (gpt-oss with a draft) are two groups of 13, not three of 12."""
    layout = laid_out(LayerKind(layers=13, token_bytes=1024), LayerKind(layers=12, token_bytes=1024, window=128))
    assert (layout.block_bytes, len(layout.groups)) == (13 * 1024 * 16, 2)


def test_narrow_layers_get_longer_blocks() -> None:
    """Gemma 4 31B on 4 ranks: 10 full layers of one wide head, 50 window layers of four: blocks of 32 and 16 tokens."""
    full, window = LayerKind(layers=10, token_bytes=2048), LayerKind(layers=50, token_bytes=4096, window=1024)
    layout = laid_out(full, window)
    assert layout.block_bytes == 655_360
    assert [group.block_tokens for group in layout.groups] == [32, 16, 16, 16, 16, 16]


def test_a_recurrent_state_enlarges_the_attention_block() -> None:
    """Every page is as large as the largest; a state takes one page of each of its groups, whatever the length."""
    attention, state = LayerKind(layers=12, token_bytes=1024), LayerKind(layers=36, state_bytes=1_000_000)
    layout = laid_out(attention, state)
    assert layout.groups[0].block_tokens == 992  # 62 blocks of 16 KiB hold a state
    assert layout.block_bytes == 12 * 992 * 1024
    assert layout.request_blocks(992) == 1 + 3
    assert laid_out(attention, state, states=2).request_blocks(992) == 1 + 6


def test_a_pipeline_stage_has_its_part_of_the_layers() -> None:
    layout = laid_out(LayerKind(layers=32, token_bytes=4096), share=0.25)
    assert layout.block_bytes == 8 * 4096 * 16


def test_the_longest_request_leaves_one_block_to_the_engine() -> None:
    layout = laid_out(LayerKind(layers=1, token_bytes=1))
    assert layout.longest(16 * 11, most=1000) == 160
    assert layout.longest(16 * 11, most=100) == 100
    assert layout.longest(16, most=100) == 0
