"""What an engine takes of the GPU beside weights and KV cache: runtime, activations, CUDA graphs.

vLLM measures it at start by one step with random numbers; here it is worked out from the shape of that step. Which peak
counts depends on the code that runs it (`profiling.py`). The coefficients are fitted to real engines;
operator/decisions/0013-memory-plan.md has the measurements and the errors.
"""

from typing import NamedTuple

from llmfleet.engine.memory.batching import Batch
from llmfleet.engine.memory.inputs import GIB, Gpu, Setup
from llmfleet.engine.memory.profiling import Runner, Step, activations, runner_of, top_sampling
from llmfleet.engine.memory.weights import Stage
from llmfleet.engine.models.architecture import Architecture
from llmfleet.engine.version import Version

GRAPHS_COUNT = Version(0, 20, 0)
"""From here on vLLM takes its estimate of the CUDA graphs out of the KV cache; before, they came on top of it."""

RUNTIME = 0.235 * GIB
"""CUDA context growth and kernels' workspaces on one GPU: 0.225 GiB on vLLM 0.26, 0.25 on 0.19."""
COLLECTIVES = 2.1 * GIB
"""The same with tensor parallelism: buffers of NCCL and of the custom all-reduce."""
VISION = 0.25 * GIB
"""What a vision encoder takes beside the language model's activations."""
GRAPHS_LAYER = 0.027 * GIB
"""CUDA graphs of one layer, where they are captured for all sizes of a batch (vLLM 0.26: 0.018 to 0.044)."""
GRAPHS_LARGEST = 512
"""The largest batch that is captured; fewer sequences need less: 0.98, 0.58 and 0.22 GiB for 512, 256 and 64."""
GRAPHS_FIXED = 0.1
"""Part of a pool that does not follow the largest batch."""
GRAPHS_EXTRAPOLATED = 0.6 * GIB
"""What the first model runner estimates for them."""
GRAPHS_SLACK = 1.7
"""How much larger than estimated a pool was at most."""
SLACK = 1.25
"""How much larger than estimated activations and runtime may be where a plan shall hold."""
SLACK_FIXED = 0.5 * GIB
CERTAIN = 0.4
"""Part of the estimated activations that no engine does without."""


class Overhead(NamedTuple):
    """Bytes on one GPU."""

    runtime: float
    """CUDA context growth, NCCL and workspaces of kernels."""
    activations: float
    graphs: float
    """CUDA graphs, where they count against the budget."""
    beyond: float
    """Beyond the budget, while the engine warms up: sampling with top-k and top-p, and graphs that are not counted."""

    @property
    def total(self) -> float:
        """What counts against the budget."""
        return self.runtime + self.activations + self.graphs

    @property
    def least(self) -> float:
        """What is certain to be taken."""
        return CERTAIN * self.activations

    @property
    def most(self) -> float:
        """What a plan that shall hold counts with."""
        return SLACK * (self.runtime + self.activations) + GRAPHS_SLACK * self.graphs + SLACK_FIXED


def overhead(architecture: Architecture, setup: Setup, stage: Stage, *, gpu: Gpu, batch: Batch) -> Overhead:
    """What one rank of a stage takes."""
    step = Step.of(architecture, setup, stage)
    runner = runner_of(architecture, setup.version)
    pool = 0.0 if setup.eager or gpu.capability is None else _pool(stage, batch)
    counted = _counted(pool, runner, setup.version)
    return Overhead(
        runtime=COLLECTIVES if setup.tensor_parallel > 1 else RUNTIME,
        activations=activations(step, batch, runner) + (VISION if step.vision else 0.0),
        graphs=counted,
        beyond=top_sampling(step, batch, runner) + (0.0 if counted else pool),
    )


def _pool(stage: Stage, batch: Batch) -> float:
    """The CUDA graphs."""
    largest = min(batch.sequences, GRAPHS_LARGEST) / GRAPHS_LARGEST
    return GRAPHS_LAYER * stage.layers * (GRAPHS_FIXED + (1 - GRAPHS_FIXED) * largest)


def _counted(pool: float, runner: Runner, version: Version) -> float:
    """What of them counts against the budget."""
    if version < GRAPHS_COUNT or runner is Runner.SECOND_AT_FIRST:
        return 0.0
    return pool if runner is Runner.SECOND else min(pool, GRAPHS_EXTRAPOLATED)
