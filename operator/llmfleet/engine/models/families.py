"""What tells one family of models from the next, beyond the numbers in config.json. Used by `architecture.py`.

Facts of the modelling code in transformers: which vectors a layer has, what a missing key means. A family that is not
here is read as a Llama, and the architecture says so in its caveats.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class QkNorm(StrEnum):
    """Norms of queries and keys, before the attention."""

    NONE = "none"
    HEAD = "head"
    """One vector of a head's size for all heads."""
    WIDE = "wide"
    """One vector as wide as all heads together."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family; the defaults are Llama's."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What a key of config.json is when it is missing."""
    gated: bool = True
    """The MLP has three matrices, not two."""
    norms: int = 2
    """Norm vectors of a layer, and one more at the end of the model."""
    norm_bias: bool = False
    """Norms have a bias vector."""
    bias_key: str = "attention_bias"
    """The key that says whether attention projections have a bias."""
    output_bias: bool = True
    """That bias is on the output projection too, not only on queries, keys and values."""
    qk_norm: QkNorm = QkNorm.NONE
    qk_norm_key: str = ""
    """The key that switches the norms of queries and keys off; empty: they are always there."""
    gated_queries: bool = False
    """The query projection has a second half that gates the attention's output."""
    sinks: bool = False
    """Each head has an attention sink."""
    full_every: int = 0
    """Layers i with (i + 1) % full_every == 0 see everything, the others a window; 0: all layers are alike."""
    experts_bias: bool = False
    """Experts and their router have biases."""
    router_bias: bool = False
    """The router has a correction vector."""


_QWEN_BIAS = {"attention_bias": True}
_QWEN3 = Family(qk_norm=QkNorm.HEAD)
_QWEN_LINEAR = Family(qk_norm=QkNorm.HEAD, gated_queries=True)
_DEEPSEEK_V3 = Family(router_bias=True)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "cohere": Family(
            defaults={"tie_word_embeddings": True},
            norms=1,
            qk_norm=QkNorm.WIDE,
            qk_norm_key="use_qk_norm",
        ),
        "cohere2": Family(defaults={"tie_word_embeddings": True}, norms=1, full_every=4),
        "deepseek_v2": Family(),
        "deepseek_v3": _DEEPSEEK_V3,
        "gemma": Family(defaults={"tie_word_embeddings": True, "head_dim": 256}),
        "gemma2": Family(defaults={"tie_word_embeddings": True, "head_dim": 256}, norms=4, full_every=2),
        "gemma3_text": Family(
            defaults={
                "tie_word_embeddings": True,
                "vocab_size": 262208,
                "num_attention_heads": 8,
                "num_key_value_heads": 4,
                "head_dim": 256,
                "max_position_embeddings": 131072,
                "sliding_window": 4096,
            },
            norms=4,
            qk_norm=QkNorm.HEAD,
            full_every=6,
        ),
        "glm": Family(defaults={"attention_bias": True}, output_bias=False),
        "glm4": Family(defaults={"attention_bias": True}, output_bias=False, norms=4),
        "glm4_moe_lite": _DEEPSEEK_V3,
        "glm4_moe": Family(output_bias=False, qk_norm=QkNorm.HEAD, qk_norm_key="use_qk_norm", router_bias=True),
        "gpt_oss": Family(defaults={"attention_bias": True}, sinks=True, full_every=2, experts_bias=True),
        "granite": Family(),
        "granitemoe": Family(),
        "kimi_k2": _DEEPSEEK_V3,
        "llama": Family(),
        "llama4_text": Family(),
        "ministral3": Family(),
        "mistral": Family(),
        "mixtral": Family(),
        "olmo2": Family(qk_norm=QkNorm.WIDE),
        "olmo3": Family(qk_norm=QkNorm.WIDE),
        "phi3": Family(),
        "phimoe": Family(norm_bias=True),
        "qwen2": Family(defaults=_QWEN_BIAS, output_bias=False),
        "qwen2_moe": Family(defaults=_QWEN_BIAS, output_bias=False),
        "qwen2_vl": Family(defaults=_QWEN_BIAS, output_bias=False),
        "qwen2_5_vl": Family(defaults=_QWEN_BIAS, output_bias=False),
        "qwen3": _QWEN3,
        "qwen3_moe": _QWEN3,
        "qwen3_5_moe_text": _QWEN_LINEAR,
        "qwen3_5_text": _QWEN_LINEAR,
        "qwen3_next": _QWEN_LINEAR,
        "qwen3_vl_text": _QWEN3,
        "qwen3_vl_moe_text": _QWEN3,
        "smollm3": Family(),
        "starcoder2": Family(
            defaults={"tie_word_embeddings": True, "use_bias": True}, gated=False, norm_bias=True, bias_key="use_bias"
        ),
    }
)
"""By the model_type of the text part (the nested text_config where there is one)."""
FAMILIES_OF_SECTIONS = MappingProxyType({"qwen2_5_vl_text": "qwen2_5_vl", "qwen2_vl_text": "qwen2_vl"})
"""Newer writings of a model_type."""
