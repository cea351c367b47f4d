"""Bytes of weights on one GPU: what the parallel split leaves to it, in the type that quantization gives it. Pure.

Tensor parallelism splits matrices and copies norms and routers; heads of keys and values are split until each rank has
one, then copied. Pipeline parallelism deals out layers; the first stage has the embedding, the last one the output.
"""

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from llmfleet.engine.memory.inputs import Setup
from llmfleet.engine.methods import Method, method
from llmfleet.engine.models.architecture import Architecture

COPIED = frozenset({"latent", "norms_and_router"})
"""Parts that every rank of tensor parallelism has whole."""
QUANTIZED = frozenset({"attention", "key_value", "latent", "dense_mlp", "routed_experts", "shared_experts"})
"""Parts that a method touches where the checkpoint says nothing else."""
IN_LAYERS = QUANTIZED | {"norms_and_router"}
EXPERTS = frozenset({"routed_experts"})
VOCABULARY_PADDING = 64
FULL_PRECISION = {"float": 4, "float32": 4}
_FEWEST_BITS = 0.5
_WORD = 2


class Stage(NamedTuple):
    """One stage of pipeline parallelism."""

    layers: int
    of: int
    """Layers of the model."""
    first: bool
    last: bool

    @property
    def share(self) -> float:
        """The stage's part of the layers."""
        return self.layers / self.of


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Bytes of weights on one GPU."""

    likely: float
    """Where a method does not say how many bits it uses: 16, the most."""
    least: float
    """There: as few as there are."""


def stages(layers: int, pipeline_parallel: int) -> tuple[Stage, ...]:
    """The layers of each stage; what is left over goes to the stages before the last (vLLM `distributed/utils.py`)."""
    counts = [layers // pipeline_parallel] * pipeline_parallel
    for extra in range(layers % pipeline_parallel):
        counts[-2 - extra] += 1
    last = pipeline_parallel - 1
    return tuple(Stage(count, layers, index == 0, index == last) for index, count in enumerate(counts))


def element_bytes(setup: Setup) -> int:
    """Bytes of an activation, or of a weight that is not quantized. vLLM's auto turns float32 checkpoints into half."""
    return FULL_PRECISION.get(setup.dtype, _WORD)


def weights(architecture: Architecture, setup: Setup, stage: Stage) -> Weights:
    """Weights of one rank of a stage."""
    likely = least = 0.0
    for part, count in _parts(architecture, setup, stage).items():
        each, fewest = _weight_bytes(architecture, setup, part)
        likely, least = likely + count * each, least + count * fewest
    likely += _tables(architecture, setup, stage)
    return Weights(likely=likely, least=least)


def _parts(architecture: Architecture, setup: Setup, stage: Stage) -> dict[str, float]:
    """Parameters of each part on one rank of the stage."""
    parameters, ranks = architecture.parameters, setup.tensor_parallel
    parts: dict[str, float] = {}
    for part in IN_LAYERS:
        count = getattr(parameters, part) * stage.share
        parts[part] = count if part in COPIED else count / ranks
    heads = architecture.kv_heads
    parts["key_value"] = parameters.key_value * stage.share * max(1, heads // ranks) / heads
    vocabulary = architecture.vocabulary_size
    padding = ceil(vocabulary / VOCABULARY_PADDING) * VOCABULARY_PADDING / vocabulary
    output = parameters.lm_head or parameters.embedding
    shares_embedding = architecture.tied_embeddings and stage.first
    parts["embedding"] = parameters.embedding * padding / ranks if stage.first else 0.0
    parts["lm_head"] = output * padding / ranks if stage.last and not shares_embedding else 0.0
    parts["vision"] = parameters.vision / ranks if stage.first else 0.0
    return parts


def _weight_bytes(architecture: Architecture, setup: Setup, part: str) -> tuple[float, float]:
    """Bytes of a parameter of the part, and the fewest that it may be."""
    word = float(element_bytes(setup))
    checkpoint = architecture.quantization
    if checkpoint is not None:
        share = checkpoint.shares.get(part, 0.0)
        each = share * checkpoint.scheme.bytes_per_weight + (1 - share) * word
        return each, (share * _FEWEST_BITS + (1 - share) * word if checkpoint.caveat else each)
    online = method(setup.quantization)
    if setup.quantization is None or part not in _touched(online):
        return word, word
    if online is None or online.weight_bytes is None:
        return word, _FEWEST_BITS
    return online.weight_bytes, online.weight_bytes


def _touched(online: Method | None) -> frozenset[str]:
    return EXPERTS if online is not None and online.experts_only else QUANTIZED


def _tables(architecture: Architecture, setup: Setup, stage: Stage) -> float:
    """What vLLM makes beside the checkpoint: the rotary table, and the unpacked up-projections of latent attention."""
    word = element_bytes(setup)
    latent = architecture.mla
    rotary = latent.qk_rope_head_dim if latent else architecture.head_size
    table = (architecture.max_context or 0) * rotary * word
    if latent is None:
        return table
    up = architecture.attention_heads * (latent.qk_nope_head_dim + latent.v_head_dim) * latent.kv_lora_rank
    return table + up * stage.layers * word / setup.tensor_parallel
