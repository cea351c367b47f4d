"""Which layers of a model see everything, which a window, and which keep a state. Part of `architecture.py`.

Rules as in vLLM 0.32 (`config/model.py`, `models/llama4.py`, `models/gpt_oss.py`) and in the models' own configurations
in transformers.
"""

from llmfleet.engine.models.attention import AttentionKind, Layer
from llmfleet.engine.models.config_json import TOKENS_LIMIT, Keys
from llmfleet.engine.models.families import Family

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
