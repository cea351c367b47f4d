"""A model's layers as the KV cache sees them: bytes of a token in each, on one rank of tensor parallelism. Pure.

Source: vLLM 0.33.0 `v1/kv_cache_interface.py`, `config/model.py` (heads of a rank), `config/cache.py` (types), and
`model_executor/layers/attention/mla_attention.py` (one vector a token, copied on every rank).
"""

from math import ceil

from llmfleet.engine.memory.inputs import Setup
from llmfleet.engine.memory.kv_cache import LayerKind
from llmfleet.engine.memory.weights import element_bytes
from llmfleet.engine.models.architecture import Architecture
from llmfleet.engine.models.attention import AttentionGroup, AttentionKind

ELEMENT = {"float16": 2.0, "bfloat16": 2.0, "half": 2.0, "fp8": 1.0, "fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "fp8_inc": 1.0}
"""Type of the cache -> bytes of an element."""
PER_HEAD_SCALES = {"fp8_per_token_head": 1.0, "int8_per_token_head": 1.0, "int4_per_token_head": 0.5}
"""Types with a scale for keys and one for values, of each token and head."""
SCALES_OF_HEAD = 8
"""Their bytes."""
NVFP4 = 0.5 + 1 / 16
"""An element with its share of a one-byte scale for 16."""
LATENT_CELL = {"fp8_ds_mla": 656, "nvfp4_ds_mla": 352}
"""Bytes of a token in one layer with latent attention of DeepSeek's sizes."""
EIGHT_BITS = 8


def is_known(kv_cache_dtype: str | None) -> bool:
    """Whether the bytes of this type are known."""
    known = ELEMENT.keys() | PER_HEAD_SCALES.keys() | LATENT_CELL.keys() | {"auto", "nvfp4", "nvfp4_4over6"}
    return kv_cache_dtype is None or kv_cache_dtype in known


def kinds(architecture: Architecture, setup: Setup) -> tuple[LayerKind, ...]:
    """The layers, on one rank."""
    return tuple(_kind(group, architecture, setup) for group in architecture.kv_groups)


def _kind(group: AttentionGroup, architecture: Architecture, setup: Setup) -> LayerKind:
    if group.kind is AttentionKind.LINEAR:
        return LayerKind(layers=group.layers, state_bytes=ceil(group.state_bytes / setup.tensor_parallel))
    cached = _cached_dtype(architecture, setup)
    if architecture.mla:
        size = _latent(group.head_size, cached, setup)
    else:
        size = heads_of_rank(group.kv_heads, setup.tensor_parallel) * _head(group, cached, setup)
    return LayerKind(layers=group.layers, token_bytes=ceil(size), window=group.window)


def heads_of_rank(kv_heads: int, tensor_parallel: int) -> int:
    """Heads of keys and values on one rank: at least one, so with fewer heads than ranks they are copied."""
    return max(1, kv_heads // tensor_parallel)


def _cached_dtype(architecture: Architecture, setup: Setup) -> str:
    """The type that is asked for, else what the checkpoint asks for, else the model's own (auto)."""
    asked = setup.kv_cache_dtype or "auto"
    quantization = architecture.quantization
    is_fp8 = quantization is not None and quantization.kv_cache_bits == EIGHT_BITS
    return "fp8" if asked == "auto" and is_fp8 else asked


def _head(group: AttentionGroup, cached: str, setup: Setup) -> float:
    """Bytes of one token in one head: a key and a value."""
    elements = group.head_size + group.value_head_size
    if cached in PER_HEAD_SCALES:
        return elements * PER_HEAD_SCALES[cached] + SCALES_OF_HEAD
    if cached.startswith("nvfp4"):
        return elements * NVFP4
    return elements * ELEMENT.get(cached, element_bytes(setup))


def _latent(elements: int, cached: str, setup: Setup) -> float:
    """Bytes of one token in one layer with latent attention."""
    if cached in LATENT_CELL:
        return LATENT_CELL[cached]
    return elements * ELEMENT.get(cached, element_bytes(setup))
