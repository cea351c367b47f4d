"""What each layer of a model keeps per request: keys and values of everything, of a window, or one state.

Part of `architecture.py`; the planner sizes the KV cache from the groups. Rules as in vLLM 0.32 (`config/model.py`,
`models/llama4.py`, `models/gpt_oss.py`) and in the models' own configurations in transformers.
"""

from dataclasses import dataclass
from enum import StrEnum

from llmfleet.engine.config_json import TOKENS_LIMIT, Keys
from llmfleet.engine.families import Family

LAYERS_LIMIT = 2000
"""No model has so many layers (the deepest of the table has 126)."""


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
            f"hidden_size is smaller than num_attention_heads ({queries}), so a head has no size: correct one of them, "
            "or give head_dim."
        )
    kv_heads = keys.integer("num_key_value_heads", "num_kv_heads", "n_head_kv", default=queries)
    if kv_heads > queries or queries % kv_heads:
        raise ValueError(
            f"num_key_value_heads ({kv_heads}) does not divide num_attention_heads ({queries}): correct one of them."
        )
    return Heads(queries=queries, kv_heads=kv_heads, size=size, value_size=size)


def latent(keys: Keys) -> Latent | None:
    """The sizes of latent attention, or None."""
    if not keys.has("kv_lora_rank"):
        return None
    return Latent(
        kv_lora_rank=keys.integer("kv_lora_rank"),
        qk_rope_head_dim=keys.integer("qk_rope_head_dim"),
        qk_nope_head_dim=keys.integer("qk_nope_head_dim"),
        v_head_dim=keys.integer("v_head_dim"),
        q_lora_rank=keys.maybe_integer("q_lora_rank"),
    )


def linear(keys: Keys) -> Linear | None:
    """The sizes of linear layers, or None."""
    if not keys.has("linear_num_value_heads"):
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
_FULL: Layer = (AttentionKind.FULL, None)
_LINEAR: Layer = (AttentionKind.LINEAR, None)


def layers(keys: Keys, family: Family, *, count: int, context: int | None) -> tuple[Layer, ...]:
    """Kind and window of every layer. A window that holds the whole context is none."""
    if named := keys.texts("layer_types"):
        found = _named(named, keys, count)
    elif keys.has("attention_chunk_size"):
        found = _chunked(keys, count)
    elif keys.has("full_attention_interval"):
        every = keys.integer("full_attention_interval")
        found = [_FULL if (i + 1) % every == 0 else _LINEAR for i in range(count)]
    else:
        found = _windowed(keys, family, count)
    return tuple(_FULL if window and context and window >= context else (kind, window) for kind, window in found)


def _named(named: tuple[str, ...], keys: Keys, count: int) -> list[Layer]:
    if len(named) < count:
        raise ValueError(
            f"layer_types names {len(named)} layers, and num_hidden_layers is {count}: correct one of them."
        )
    return [_layer(name, keys) for name in named[:count]]


def _layer(name: str, keys: Keys) -> Layer:
    match name:
        case "full_attention" | "attention":
            return _FULL
        case "sliding_attention":
            return AttentionKind.SLIDING, keys.integer("sliding_window", most=TOKENS_LIMIT)
        case "chunked_attention":
            return AttentionKind.CHUNKED, keys.integer("attention_chunk_size", most=TOKENS_LIMIT)
        case "linear_attention" if keys.has("linear_num_value_heads"):
            return _LINEAR
        case _:
            raise ValueError(
                f"layer_types has layers of the kind {name[:40]!r}, whose memory is not known: a plan cannot be made "
                "for this model; start it once and read its log."
            )


def _chunked(keys: Keys, count: int) -> list[Layer]:
    """Llama 4: layers without rotary embedding see everything, the others their chunk."""
    chunk = keys.integer("attention_chunk_size", most=TOKENS_LIMIT)
    every = keys.integer("no_rope_layer_interval", default=4)
    rotary = keys.integers("no_rope_layers") or tuple(int((i + 1) % every != 0) for i in range(count))
    if len(rotary) < count:
        raise ValueError(
            f"no_rope_layers has {len(rotary)} entries, and num_hidden_layers is {count}: correct one of them."
        )
    return [(AttentionKind.CHUNKED, chunk) if rotary[i] else _FULL for i in range(count)]


def _windowed(keys: Keys, family: Family, count: int) -> list[Layer]:
    """A window for all layers, for those of a pattern, or from one layer on."""
    window = keys.maybe_integer("sliding_window", least=0, most=TOKENS_LIMIT)
    if not window or not keys.flag("use_sliding_window", default=True):
        return [_FULL] * count
    sliding = (AttentionKind.SLIDING, window)
    every = keys.maybe_integer("sliding_window_pattern", "_sliding_window_pattern") or family.full_every
    if every:
        return [_FULL if (i + 1) % every == 0 else sliding for i in range(count)]
    first = 0
    if keys.has("use_sliding_window"):
        first = keys.maybe_integer("max_window_layers", least=0) or 0
    return [sliding if i >= first else _FULL for i in range(count)]


def groups(
    found: tuple[Layer, ...], *, heads: Heads, latent: Latent | None, linear: Linear | None, dtype_bytes: int
) -> tuple[AttentionGroup, ...]:
    """Layers of one kind together, in the order of their first layer."""
    return tuple(
        AttentionGroup(
            kind=kind,
            window=window,
            positions=tuple(i for i, layer in enumerate(found) if layer == (kind, window)),
            kv_heads=0 if kind is AttentionKind.LINEAR else 1 if latent else heads.kv_heads,
            head_size=0 if kind is AttentionKind.LINEAR else latent.cached_size if latent else heads.size,
            value_head_size=0 if kind is AttentionKind.LINEAR or latent else heads.value_size,
            state_bytes=linear.state_bytes(dtype_bytes) if linear and kind is AttentionKind.LINEAR else 0,
        )
        for kind, window in dict.fromkeys(found)
    )
