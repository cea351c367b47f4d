"""What each layer of a model keeps per request: keys and values of everything, of a window, or one state.

Part of `architecture.py`; the planner sizes the KV cache from the groups. As in vLLM 0.32
(`transformers_utils/model_arch_config_convertor.py`, `v1/kv_cache_interface.py`).
"""

from dataclasses import dataclass
from enum import StrEnum

from llmfleet.engine.models.config_json import Keys

LAYERS_LIMIT = 1000
"""No model has so many layers (the deepest of the table has 126)."""


CACHED_LATENT = frozenset(
    {"deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "kimi_k2", "longcat_flash", "pangu_ultra_moe"}
)
"""Types of models with latent attention whose latent vector vLLM caches; for others it caches the whole heads."""


class AttentionKind(StrEnum):
    """What a layer keeps of a request."""

    FULL = "full"
    """Keys and values of every token."""
    SLIDING = "sliding"
    """Keys and values of the last `window` tokens."""
    CHUNKED = "chunked"
    """Keys and values of the current chunk of `window` tokens."""
    LINEAR = "linear"
    """One state of a fixed size, whatever the length."""


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Sizes of the attention of a model."""

    queries: int
    """Query heads."""
    kv_heads: int
    """Key and value heads of the checkpoint (with latent attention as many as query heads)."""
    size: int
    """Elements of a query or key in one head."""
    value_size: int
    """Elements of a value in one head."""


@dataclass(frozen=True, kw_only=True)
class Latent:
    """Multi-head latent attention (DeepSeek-V2): one vector per token and layer instead of keys and values."""

    kv_lora_rank: int
    qk_rope_head_dim: int
    qk_nope_head_dim: int
    v_head_dim: int
    q_lora_rank: int | None
    """None: queries are projected directly."""
    cached: bool
    """vLLM caches the vector, not the heads that are made of it."""

    @property
    def cached_size(self) -> int:
        """Elements kept per token and layer; every tensor parallel rank keeps them all."""
        return self.kv_lora_rank + self.qk_rope_head_dim


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Gated delta-rule layers (Qwen3-Next)."""

    key_heads: int
    value_heads: int
    key_size: int
    value_size: int
    kernel: int
    """Tokens that the short convolution looks at."""
    state_dtype_bytes: int | None
    """Bytes of an element of the recurrent state where config.json sets it, else None: the model's dtype."""

    @property
    def channels(self) -> int:
        """Channels of the convolution: queries, keys and values."""
        return 2 * self.key_heads * self.key_size + self.value_heads * self.value_size

    def state_bytes(self, dtype_bytes: int) -> int:
        """Bytes of one layer's state of one request, before the split over tensor parallel ranks."""
        recurrent = self.value_heads * self.value_size * self.key_size
        return self.channels * (self.kernel - 1) * dtype_bytes + recurrent * (self.state_dtype_bytes or dtype_bytes)


@dataclass(frozen=True, kw_only=True)
class AttentionGroup:
    """Layers that keep the same of a request."""

    kind: AttentionKind
    positions: tuple[int, ...]
    """Which layers, from 0."""
    kv_heads: int
    """Heads that are cached; 1 with latent attention, 0 in linear layers."""
    head_size: int
    """Elements of a cached key in one head; with latent attention the whole vector."""
    value_head_size: int
    """Elements of a cached value in one head; 0 with latent attention."""
    window: int | None = None
    """Tokens of the window or chunk; None in full and linear layers."""
    state_bytes: int = 0
    """Linear layers: bytes per request and layer, before the split over tensor parallel ranks."""

    @property
    def layers(self) -> int:
        """How many layers."""
        return len(self.positions)


def heads(keys: Keys, latent: Latent | None) -> Heads:
    """The heads, by the names that vLLM looks for (`transformers_utils/model_arch_config_convertor.py`)."""
    queries = keys.integer("num_attention_heads", "n_head")
    if latent:
        size = latent.qk_nope_head_dim + latent.qk_rope_head_dim
        return Heads(queries=queries, kv_heads=queries, size=size, value_size=latent.v_head_dim)
    size = keys.maybe_integer("head_dim") or keys.integer("hidden_size") // queries
    if not size:
        raise ValueError(
            f"hidden_size is smaller than num_attention_heads ({queries}), so a head has no size: give head_dim, or "
            "correct one."
        )
    kv_heads = keys.integer("num_key_value_heads", "num_kv_heads", "n_head_kv", default=queries)
    if kv_heads > queries or queries % kv_heads:
        raise ValueError(
            f"num_key_value_heads ({kv_heads}) does not divide num_attention_heads ({queries}): correct one of them."
        )
    return Heads(queries=queries, kv_heads=kv_heads, size=size, value_size=size)


def latent(keys: Keys) -> Latent | None:
    """The sizes of latent attention (MLA), or None."""
    if not keys.has("kv_lora_rank"):
        return None
    return Latent(
        kv_lora_rank=keys.integer("kv_lora_rank"),
        qk_rope_head_dim=keys.integer("qk_rope_head_dim"),
        qk_nope_head_dim=keys.integer("qk_nope_head_dim"),
        v_head_dim=keys.integer("v_head_dim"),
        q_lora_rank=keys.maybe_integer("q_lora_rank"),
        cached=keys.text("model_type") in CACHED_LATENT,
    )


def linear(keys: Keys) -> Linear | None:
    """The sizes of linear layers, or None."""
    if not keys.has("linear_num_value_heads") and not keys.has("full_attention_interval"):
        return None
    return Linear(
        key_heads=keys.integer("linear_num_key_heads"),
        value_heads=keys.integer("linear_num_value_heads"),
        key_size=keys.integer("linear_key_head_dim"),
        value_size=keys.integer("linear_value_head_dim"),
        kernel=keys.integer("linear_conv_kernel_dim"),
        state_dtype_bytes={"float32": 4, "float16": 2, "bfloat16": 2}.get(keys.text("mamba_ssm_dtype") or ""),
    )


Layer = tuple[AttentionKind, int | None]
"""What a layer keeps, and its window in tokens."""


def groups(
    found: tuple[Layer, ...], *, heads: Heads, latent: Latent | None, linear: Linear | None, dtype_bytes: int
) -> tuple[AttentionGroup, ...]:
    """Layers of one kind together, in the order of their first layer."""
    cached = (heads.kv_heads, heads.size, heads.value_size)
    if latent:
        # vLLM pads values to the size of keys where it caches the heads.
        cached = (1, latent.cached_size, 0) if latent.cached else (heads.kv_heads, heads.size, heads.size)
    states = linear.state_bytes(dtype_bytes) if linear else 0
    return tuple(
        _group(kind, window, tuple(i for i, layer in enumerate(found) if layer == (kind, window)), cached, states)
        for kind, window in dict.fromkeys(found)
    )


def _group(
    kind: AttentionKind, window: int | None, positions: tuple[int, ...], cached: tuple[int, int, int], states: int
) -> AttentionGroup:
    is_linear = kind is AttentionKind.LINEAR
    kv_heads, head_size, value_head_size = (0, 0, 0) if is_linear else cached
    return AttentionGroup(
        kind=kind,
        positions=positions,
        kv_heads=kv_heads,
        head_size=head_size,
        value_head_size=value_head_size,
        window=window,
        state_bytes=states if is_linear else 0,
    )
