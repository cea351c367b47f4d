"""The shape of a model, read from its config.json: what the memory planner needs to know of it.

Pure: a mapping goes in, facts come out, and whatever cannot be understood is a ValueError with a sentence, or a caveat.
The parts stand in files of their own: attention, experts, parameters, context, quantization, vision.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmfleet.engine.models import context
from llmfleet.engine.models.attention import (
    LAYERS_LIMIT,
    AttentionGroup,
    AttentionKind,
    Latent,
    Layer,
    groups,
    heads,
    latent,
    linear,
)
from llmfleet.engine.models.config_json import Keys
from llmfleet.engine.models.experts import Experts, experts
from llmfleet.engine.models.families import FAMILIES, FAMILIES_OF_SECTIONS, Family
from llmfleet.engine.models.layer_kinds import layers
from llmfleet.engine.models.parameters import Parameters, Shape, count
from llmfleet.engine.models.quantization import Quantization, quantization
from llmfleet.engine.models.vision import vision

DTYPE_BYTES = {"float32": 4, "float16": 2, "half": 2, "bfloat16": 2, "float": 4}
"""Bytes of an element by the name of its type in config.json."""
_ASSUMED_DTYPE_BYTES = 2
UNKNOWN_KEYS = (
    "attn_layer_period",
    "block_configs",
    "compress_ratios",
    "conv_L_cache",
    "hybrid_override_pattern",
    "index_topk",
    "mamba_d_state",
    "num_kv_shared_layers",
    "ssm_cfg",
    "state_size",
)
"""Keys of models whose layers keep states, share caches or differ in ways that are not known here."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One model. Sizes are in elements, lengths in tokens."""

    model_type: str
    """The type of the whole model, such as `gemma3`."""
    architectures: tuple[str, ...]
    """Names of classes, such as `Gemma3ForConditionalGeneration`."""
    layers: int
    """Layers of the text model, without layers for multi-token prediction."""
    hidden_size: int
    intermediate_size: int
    """Width of the MLP of layers without experts."""
    attention_heads: int
    kv_heads: int
    """Key and value heads of the checkpoint; what is cached stands in `kv_groups`."""
    head_size: int
    value_head_size: int
    vocabulary_size: int
    tied_embeddings: bool
    """The output projection is the embedding: loaded once."""
    max_context: int | None
    """The largest maxModelLen that vLLM accepts; None: config.json does not tell."""
    default_context: int | None
    """What vLLM takes where maxModelLen is not set; differs from `max_context` with longrope only."""
    dtype: str | None
    """Type of the weights, such as `bfloat16`; None: config.json does not tell."""
    kv_groups: tuple[AttentionGroup, ...]
    """Every layer is in one of them."""
    experts: Experts | None
    mla: Latent | None
    quantization: Quantization | None
    mtp_layers: int
    """Layers for multi-token prediction. vLLM does not load them by default, and `parameters` leaves them out."""
    multimodal: bool
    parameters: Parameters
    caveats: tuple[str, ...]
    """Sentences on what is assumed or estimated; empty for the families that are known."""

    @property
    def dtype_bytes(self) -> int:
        """Bytes of an element of the checkpoint's type; 2 where it is not known."""
        return DTYPE_BYTES.get(self.dtype or "", _ASSUMED_DTYPE_BYTES)

    def bytes_per_parameter(self, part: str) -> float:
        """Bytes of a parameter of this part (a name of `parameters.PARTS`) in the checkpoint, scales included."""
        if self.quantization is None:
            return self.dtype_bytes
        share = self.quantization.shares.get(part, 0.0)
        return share * self.quantization.scheme.bytes_per_weight + (1 - share) * self.dtype_bytes


def read(config: Mapping[str, Any]) -> Architecture:
    """The architecture that a Hugging Face config.json describes.

    Raises:
        ValueError: A key is missing or absurd, or the model is of a kind that cannot be planned; a sentence says which
            and what to do.
    """
    if not isinstance(config, Mapping):
        raise ValueError("config.json must hold one JSON object: give the config.json of the model.")  # noqa: TRY004
    root = Keys(config)
    text, family, caveats = _text(root)
    longest = context.maximum(text, root.text("model_type") or "")
    dtype = root.text("torch_dtype", "dtype") or text.text("torch_dtype", "dtype")
    shape, kinds = _shape(root, text, family, longest)
    seen, estimate = vision(root, hidden=shape.hidden)
    quantized = quantization(root, text, layers=shape.layers)
    return Architecture(
        model_type=root.text("model_type") or "",
        architectures=root.texts("architectures") or (),
        layers=shape.layers,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        attention_heads=shape.heads.queries,
        kv_heads=shape.heads.kv_heads,
        head_size=shape.heads.size,
        value_head_size=shape.heads.value_size,
        vocabulary_size=shape.vocabulary,
        tied_embeddings=shape.tied,
        max_context=longest,
        default_context=context.default(text, longest),
        dtype=dtype,
        kv_groups=groups(
            kinds,
            heads=shape.heads,
            latent=shape.latent,
            linear=shape.linear,
            dtype_bytes=DTYPE_BYTES.get(dtype or "", _ASSUMED_DTYPE_BYTES),
        ),
        experts=shape.experts,
        mla=shape.latent,
        quantization=quantized,
        mtp_layers=text.integer("num_nextn_predict_layers", "mtp_num_hidden_layers", default=0, least=0),
        multimodal=bool(seen),
        parameters=count(shape, seen),
        caveats=tuple(caveat for caveat in (caveats, estimate, quantized.caveat if quantized else "") if caveat),
    )


def _text(root: Keys) -> tuple[Keys, Family, str]:
    """The section of the language model with what its family takes for granted, and a caveat if it has none here."""
    if root.has("dim") and root.has("n_layers"):
        raise ValueError("This is Mistral's own params.json: give the config.json that stands beside it at the hub.")
    if root.flag("is_encoder_decoder", default=False):
        raise ValueError("is_encoder_decoder is true, and a plan can be made for decoders only: leave the plan out.")
    text = root.section("text_config") or root.section("llm_config") or root
    unknown = [name for name in UNKNOWN_KEYS if text.says(name)]
    model_type = text.text("model_type") or root.text("model_type") or ""
    model_type = FAMILIES_OF_SECTIONS.get(model_type, model_type)
    if unknown:
        raise ValueError(
            f"config.json has the key {unknown[0]}, which stands for layers whose memory is not known: a plan cannot "
            "be made for this model; start it once and read its log."
        )
    family = FAMILIES.get(model_type)
    if family:
        return text.with_defaults(family.defaults), family, ""
    return (
        text,
        Family(),
        (
            f"Models of the type {model_type[:60] or '(none given)'} are not known, and this one is counted as a "
            "Llama of its sizes."
        ),
    )


def _shape(root: Keys, text: Keys, family: Family, longest: int | None) -> tuple[Shape, tuple[Layer, ...]]:
    """The sizes, and the kind of each layer."""
    number = text.integer("num_hidden_layers", "n_layer", most=LAYERS_LIMIT)
    kinds = layers(text, family, count=number, context=longest)
    compressed = latent(text)
    shape = Shape(
        keys=text,
        family=family,
        layers=number,
        linear_layers=sum(kind is AttentionKind.LINEAR for kind, _ in kinds),
        hidden=text.integer("hidden_size", "n_embd"),
        intermediate=text.integer("intermediate_size_mlp", "intermediate_size", "n_inner"),
        vocabulary=text.integer("vocab_size"),
        tied=_tied(root, text),
        heads=heads(text, compressed),
        latent=compressed,
        linear=linear(text),
        experts=experts(text, count=number),
    )
    return shape, kinds


def _tied(root: Keys, text: Keys) -> bool:
    """Where it is said: in the text part, else at the top (where it may be said once for all parts)."""
    for keys in (root, text):
        if keys.has("tie_word_embeddings"):
            return keys.flag("tie_word_embeddings", default=False)
    return False
