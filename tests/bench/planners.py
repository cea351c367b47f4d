"""Memory planners side by side on the same engines: `python -m tests.bench.planners`.

KAITO's and llm-d-planner's formulas are written down here as their projects publish them, small, and each reproduces a
worked example of its own project (tests/unit/engine/test_planners.py). They are given what their projects give them:
the memory of the GPU by its name; and more: the exact bytes of weights and of a token, also of what they do not know.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from llmfleet.engine.memory import cache_layers
from llmfleet.engine.memory.inputs import GIB, Gpu, Setup
from llmfleet.engine.memory.kv_cache import token_bytes
from llmfleet.engine.memory.plan import plan
from llmfleet.engine.memory.weights import stages, weights
from llmfleet.engine.models.architecture import Architecture
from tests.unit.engine.measured import measured_runs
from tests.unit.engine.published import PUBLISHED
from tests.unit.engine.shapes import shape

NOMINAL_GIB = {"h100-80gb": 80.0, "h200-141gb": 141.0, "h200": 141.0, "l4": 24.0, "a100-80gb": 80.0}
"""Memory as the product's name says, which both take."""


@dataclass(frozen=True)
class Sizes:
    """What both formulas start from."""

    weights_gib: float
    """Of the whole model, as stored."""
    token_bytes: float
    """KV cache of one token, the whole model."""
    is_latent: bool
    class_name: str


def kaito(sizes: Sizes, setup: Setup, memory_gib: float) -> float:
    """KV tokens by KAITO's `ComputeMaxModelLen` (kaito-project/kaito, pkg/workspace/estimator, August 2026).

    Weights grow by 2 %; the overhead is 2.3 GiB and 5 % of a GPU's weights.
    """
    weights = 1.02 * sizes.weights_gib / setup.gpus
    left = memory_gib * setup.utilization - weights - (2.3 + 0.05 * weights)
    each = sizes.token_bytes / setup.pipeline_parallel
    return max(0.0, left * GIB / (each if sizes.is_latent else each / setup.tensor_parallel))


ACTIVATIONS = {
    "llama": 1.89, "qwen2": 2.25, "qwen3": 2.21, "deepseek_v2": 1.93, "granite": 0.85, "mixtral": 1.21, "phi3": 1.52,
    "qwen2_moe": 2.47, "qwen3_moe": 2.68, "gemma2": 3.65, "gemma3": 3.94, "gemma": 3.63,
}  # fmt: skip
"""GiB of activations by class, fitted by the project to the same published runs of vLLM 0.19."""
OLD_ACTIVATIONS = {"llama": 4.8, "qwen2": 5.6, "qwen3": 5.6}
"""The same until April 2026."""


def llm_d(sizes: Sizes, setup: Setup, memory_gib: float) -> float:
    """KV tokens by llm-d-planner's `allocatable_kv_cache_memory` (src/planner/capacity_planner.py, May 2026)."""
    is_moe = "moe" in sizes.class_name or "mixtral" in sizes.class_name
    activations = ACTIVATIONS.get(sizes.class_name, 2.5 if is_moe else 2.0)
    runtime = 2.1 if setup.tensor_parallel > 1 else 0.27
    return _llm_d(sizes, setup, memory_gib, activations=activations, runtime=runtime)


def old_llm_d(sizes: Sizes, setup: Setup, memory_gib: float) -> float:
    """The same with its constants until April 2026, which its worked example uses."""
    is_moe = "moe" in sizes.class_name or "mixtral" in sizes.class_name
    activations = OLD_ACTIVATIONS.get(sizes.class_name, 8.0 if is_moe else 5.5)
    runtime = 0.6 if setup.tensor_parallel > 1 else 0.15
    return _llm_d(sizes, setup, memory_gib, activations=activations, runtime=runtime)


def _llm_d(sizes: Sizes, setup: Setup, memory_gib: float, *, activations: float, runtime: float) -> float:
    """Activations count once for all GPUs of a replica."""
    gpus = setup.gpus
    left = memory_gib * setup.utilization * gpus - sizes.weights_gib - activations - runtime * gpus
    return max(0.0, left * GIB / sizes.token_bytes)


def sizes_of(architecture: Architecture, setup: Setup) -> Sizes:
    """What the other formulas start from: the exact bytes of weights and of a token, whatever made them so small."""
    stage = stages(architecture.layers, 1)[0]
    whole = replace(setup, tensor_parallel=1, pipeline_parallel=1)
    return Sizes(
        weights_gib=weights(architecture, whole, stage).least / GIB,
        token_bytes=token_bytes(cache_layers.kinds(architecture, whole)),
        is_latent=architecture.mla is not None,
        class_name=architecture.model_type.removesuffix("_text"),
    )


@dataclass(frozen=True)
class Row:
    """One engine, and how far each planner is off, in percent."""

    name: str
    tokens: float
    errors: tuple[float, ...]


PLANNERS: tuple[tuple[str, Callable[[Sizes, Setup, float], float]], ...] = (
    ("KAITO", kaito),
    ("llm-d until April", old_llm_d),
    ("llm-d", llm_d),
)


def rows() -> Iterator[Row]:
    """All engines that are known."""
    for run in PUBLISHED:
        found = plan(shape(run.shape), run.setup, run.gpu)
        real = found.fill.layout.concurrency(
            run.kv_cache(found.fill.weights.likely / GIB) * GIB, found.context
        ) * found.context  # fmt: skip
        yield _row(f"{run.shape}, tp {run.ranks}, vLLM 0.19, h100", real, shape(run.shape), run.setup, run.gpu)
    for measured in measured_runs():
        if measured.tokens:
            yield _row(measured.name, measured.tokens, measured.architecture, measured.setup, measured.gpu)


def _row(name: str, real: float, architecture: Architecture, setup: Setup, gpu: Gpu) -> Row:
    memory = NOMINAL_GIB.get(gpu.name, gpu.memory_gib)
    others = [formula(sizes_of(architecture, setup), setup, memory) for _, formula in PLANNERS]
    found = [*others, plan(architecture, setup, gpu).kv_tokens]
    return Row(name, real, tuple(100 * (tokens / real - 1) for tokens in found))


def table(found: Sequence[Row]) -> Iterator[str]:
    """The comparison as Markdown."""
    names = [name for name, _ in PLANNERS] + ["llmfleet"]
    yield f"| engine | KV tokens | {' | '.join(names)} |"
    yield f"|---|---:|{'---:|' * len(names)}"
    for row in found:
        yield f"| {row.name} | {row.tokens:,.0f} | {' | '.join(f'{error:+.1f} %' for error in row.errors)} |"
    means = [mean(abs(row.errors[index]) for row in found) for index in range(len(names))]
    worst = [max((row.errors[index] for row in found), key=abs) for index in range(len(names))]
    yield f"| **mean, without the sign** | | {' | '.join(f'{value:.1f} %' for value in means)} |"
    yield f"| **worst** | | {' | '.join(f'{value:+.1f} %' for value in worst)} |"


if __name__ == "__main__":
    print("\n".join(table(list(rows()))))
