"""How many parameters a model has, by the part they belong to. Part of `architecture.py`.

The parts are cut where memory differs: what tensor parallelism splits or copies, what quantization touches.
"""

from dataclasses import dataclass, fields

from llmfleet.engine.models.attention import Heads, Latent, Linear
from llmfleet.engine.models.config_json import Keys
from llmfleet.engine.models.experts import Experts
from llmfleet.engine.models.families import Family, QkNorm


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Numbers of parameters."""

    embedding: int = 0
    """Token embedding. Tensor parallel ranks split it; not quantized."""
    lm_head: int = 0
    """Output projection, 0 where it is the embedding. Split; not quantized as a rule."""
    attention: int = 0
    """Matrices of queries and output, of linear layers, and MLA's up-projections. Split; quantized."""
    key_value: int = 0
    """Matrices of keys and values. Split until each rank has one head, then copied; quantized."""
    latent: int = 0
    """MLA's down-projections. Every rank has them all; quantized."""
    dense_mlp: int = 0
    """MLP matrices of layers without experts. Split; quantized."""
    routed_experts: int = 0
    """Split (by width, or by expert with expert parallelism); quantized."""
    shared_experts: int = 0
    """Split; quantized."""
    norms_and_router: int = 0
    """Norms, biases, routers, attention sinks, small convolutions. Every rank has them all; not quantized."""
    vision: int = 0
    """The vision tower and its projector. Not quantized as a rule."""
    inactive: int = 0
    """Of `routed_experts`: those that one token does not use. Not a part of its own."""

    @property
    def total(self) -> int:
        """All parameters that vLLM loads."""
        return sum(getattr(self, part) for part in PARTS)

    @property
    def active(self) -> int:
        """Parameters that one token of text uses."""
        return self.total - self.inactive - self.vision


PARTS: tuple[str, ...] = tuple(part.name for part in fields(Parameters) if part.name != "inactive")
"""Names of the parts that add up to the total."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the numbers follow from."""

    keys: Keys
    family: Family
    layers: int
    linear_layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    tied: bool
    heads: Heads
    latent: Latent | None
    linear: Linear | None
    experts: Experts | None


def count(shape: Shape, vision: int) -> Parameters:
    """The parameters of each part."""
    attention_layers = shape.layers - shape.linear_layers
    query_output, key_value, down = _attention(shape)
    experts = shape.experts
    matrices = 3 if shape.family.gated else 2
    expert = matrices * shape.hidden * experts.intermediate_size if experts else 0
    embedding = shape.vocabulary * shape.hidden
    return Parameters(
        embedding=embedding,
        lm_head=0 if shape.tied else embedding,
        attention=attention_layers * query_output + shape.linear_layers * _linear(shape),
        key_value=attention_layers * key_value,
        latent=attention_layers * down,
        dense_mlp=(shape.layers - (experts.layers if experts else 0)) * matrices * shape.hidden * shape.intermediate,
        routed_experts=experts.layers * experts.count * expert if experts else 0,
        shared_experts=experts.layers * matrices * shape.hidden * experts.shared_intermediate_size if experts else 0,
        norms_and_router=_small(shape),
        vision=vision,
        inactive=experts.layers * (experts.count - experts.per_token) * expert if experts else 0,
    )


def _attention(shape: Shape) -> tuple[int, int, int]:
    """Matrices of one layer: queries and output; keys and values; down-projections of latent attention."""
    heads, hidden, latent = shape.heads, shape.hidden, shape.latent
    queries, output = heads.queries * heads.size, heads.queries * heads.value_size * hidden
    if latent:
        up = heads.queries * (latent.qk_nope_head_dim + latent.v_head_dim) * latent.kv_lora_rank
        rank = latent.q_lora_rank
        down = hidden * latent.cached_size + (hidden * rank if rank else 0)
        return queries * (rank or hidden) + up + output, 0, down
    gated = 2 if shape.family.gated_queries else 1
    return gated * queries * hidden + output, heads.kv_heads * (heads.size + heads.value_size) * hidden, 0


def _linear(shape: Shape) -> int:
    """Matrices of one linear layer: queries, keys, values and their gate; the two small ones; the output."""
    linear = shape.linear
    if linear is None:
        return 0
    values = linear.value_heads * linear.value_size
    return shape.hidden * (linear.channels + values + 2 * linear.value_heads + values)


def _small(shape: Shape) -> int:
    """Vectors, routers and convolutions of all layers, and the last norm."""
    family = shape.family
    norm = shape.hidden * (2 if family.norm_bias else 1)
    attention_layers = shape.layers - shape.linear_layers
    in_layers = family.norms * norm * shape.layers + attention_layers * (_biases(shape) + _head_norms(shape))
    linear = shape.linear
    if linear:
        in_layers += shape.linear_layers * (
            linear.channels * linear.kernel + 2 * linear.value_heads + linear.value_size
        )
    return in_layers + norm + _mlp_biases(shape) + _router(shape) + _lm_head_bias(shape)


def _biases(shape: Shape) -> int:
    if not shape.keys.flag(shape.family.bias_key, default=False):
        return 0
    heads = shape.heads
    query_key_value = heads.queries * heads.size + heads.kv_heads * (heads.size + heads.value_size)
    return query_key_value + (shape.hidden if shape.family.output_bias else 0)


def _head_norms(shape: Shape) -> int:
    family, heads, latent = shape.family, shape.heads, shape.latent
    sinks = heads.queries if family.sinks else 0
    if latent:
        return latent.kv_lora_rank + (latent.q_lora_rank or 0)
    if family.qk_norm_key and not shape.keys.flag(family.qk_norm_key, default=False):
        return sinks
    match family.qk_norm:
        case QkNorm.HEAD:
            return 2 * heads.size + sinks
        case QkNorm.WIDE:
            return (heads.queries + heads.kv_heads) * heads.size + sinks
        case QkNorm.NONE:
            return sinks


def _mlp_biases(shape: Shape) -> int:
    family, experts = shape.family, shape.experts
    if family.experts_bias and experts:
        return experts.layers * experts.count * (2 * experts.intermediate_size + shape.hidden + 1)
    if family.bias_key == "use_bias" and shape.keys.flag("use_bias", default=False):
        return shape.layers * (shape.intermediate + shape.hidden)
    return 0


def _router(shape: Shape) -> int:
    experts = shape.experts
    if experts is None:
        return 0
    correction = experts.count if shape.family.router_bias else 0
    return experts.layers * (shape.hidden * (experts.count + int(experts.shared_gate)) + correction)


def _lm_head_bias(shape: Shape) -> int:
    return shape.vocabulary if shape.keys.flag("lm_head_bias", default=False) else 0
