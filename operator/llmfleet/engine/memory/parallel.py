"""Which splits of a model vLLM takes: what tensor parallelism has to divide. Pure.

Source: vLLM 0.33.0 `config/model.py` (attention heads), `models/llama.py` (heads of keys and values),
`distributed/utils.py` (sizes), `quantization/utils/fp8_utils.py` (blocks of FP8).
"""

from collections.abc import Iterator

from llmfleet.engine.memory.inputs import Setup
from llmfleet.engine.models.architecture import Architecture


def problems_of(architecture: Architecture, setup: Setup) -> tuple[str, ...]:
    """What the split does not divide, half a sentence each; empty if vLLM takes it."""
    return tuple(_problems(architecture, setup, setup.tensor_parallel))


def possible(architecture: Architecture, setup: Setup, most: int) -> tuple[int, ...]:
    """The tensor-parallel sizes up to `most` that vLLM takes."""
    return tuple(ranks for ranks in range(1, most + 1) if not any(_problems(architecture, setup, ranks)))


def _problems(architecture: Architecture, setup: Setup, ranks: int) -> Iterator[str]:
    if ranks == 1:
        return
    if architecture.attention_heads % ranks:
        yield f"the model's {architecture.attention_heads} attention heads"
    heads = architecture.kv_heads
    if not architecture.mla and heads % ranks and ranks % heads:
        yield f"its {heads} key-value heads"
    for width, words in _widths(architecture, setup):
        if width % ranks:
            yield f"the {words} of {width}"
        elif (block := _block(architecture)) and width // ranks % block:
            yield f"the {words} of {width} into whole FP8 blocks of {block}"


def _widths(architecture: Architecture, setup: Setup) -> Iterator[tuple[int, str]]:
    """Widths that are split, with their names."""
    experts = architecture.experts
    if experts is None or experts.layers < architecture.layers:
        yield architecture.intermediate_size, "MLP width"
    if experts is not None and not setup.expert_parallel:
        yield experts.intermediate_size, "expert width"


def _block(architecture: Architecture) -> int:
    """Rows of a block that share a scale, in a checkpoint of block-wise FP8; 0 in others."""
    quantization = architecture.quantization
    block = quantization.scheme.block if quantization and quantization.scheme.floating else None
    return block[0] if block else 0
