"""The longest context that vLLM accepts for a model. Part of `architecture.py`.

As vLLM 0.32 does it (`_get_and_verify_max_len` in `config/model.py`, and
`transformers_utils/model_arch_config_convertor.py`).
"""

from llmfleet.engine.models.config_json import TOKENS_LIMIT, Keys

_LENGTH_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
"""The smallest of them counts, but model_max_length wins."""
_ALREADY_SCALED = frozenset({"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"})
"""Rope scalings whose factor is in the length keys already."""


def maximum(keys: Keys, model_type: str) -> int | None:
    """The largest maxModelLen in tokens, or None if config.json does not tell.

    The tokenizer's model_max_length may lower it; it stands in another file.
    """
    lengths = [length for name in _LENGTH_KEYS if (length := keys.maybe_integer(name, most=TOKENS_LIMIT))]
    if not lengths:
        return None
    length = keys.maybe_integer("model_max_length", most=TOKENS_LIMIT) or min(lengths)
    return length if "gemma3" in model_type else int(length * _factor(keys))


def default(keys: Keys, longest: int | None) -> int | None:
    """What vLLM takes where maxModelLen is not set: with longrope the unscaled length, else the longest."""
    if longest is None or not any(_kind(rope) in {"longrope", "su"} for rope in _ropes(keys)):
        return longest
    return keys.maybe_integer("original_max_position_embeddings", most=TOKENS_LIMIT) or longest


def _factor(keys: Keys) -> float:
    factors = [
        rope.maybe_number("factor", least=1e-3, most=1e4) or 1.0
        for rope in _ropes(keys)
        if _kind(rope) not in _ALREADY_SCALED
    ]
    return factors[-1] if factors else 1.0


def _ropes(keys: Keys) -> tuple[Keys, ...]:
    """The rope parameters: one section, or one for each kind of layers."""
    rope = keys.section("rope_scaling") or keys.section("rope_parameters")
    if rope is None:
        return ()
    return (rope,) if _kind(rope) or rope.has("factor") else rope.sections()


def _kind(rope: Keys) -> str:
    return rope.text("rope_type", "type") or ""
