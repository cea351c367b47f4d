"""What an engine takes of the GPU beside weights and KV cache: runtime, activations, CUDA graphs.

vLLM measures it at start; here it is worked out from the shape of one engine step. The activations are the larger of
two moments: the widest layer at the most batched tokens, and the sampler's logits at the most sequences. The
coefficients are fitted to real engines; operator/decisions/0013-memory-plan.md has the measurements and the errors.
"""

from dataclasses import dataclass
from typing import NamedTuple

from llmfleet.engine.architecture import Architecture
from llmfleet.engine.batching import Batch
from llmfleet.engine.inputs import GIB, Gpu, Setup
from llmfleet.engine.version import Version
from llmfleet.engine.weights import Stage, element_bytes

GRAPHS_COUNT = Version(0, 20, 0)
"""From here on vLLM takes its estimate of the CUDA graphs out of the KV cache; before, they came on top of it."""
LEAN_SAMPLER = Version(0, 17, 0)
"""From here on the sampler sorts no more logits than it must: on one and the same model 5.6 GiB became 2.2."""
PLAIN_PROFILE = Version(0, 26, 0)
"""From here on (or a few releases earlier) the profiling step samples without top-k and top-p (`v1/worker/gpu`)."""

HIDDEN_COPIES = 4.25
"""Vectors as long as the hidden state that live at a time for each batched token: residual, input, queries, output."""
GATE_COPIES = 3.0
"""Vectors as long as the MLP is wide: gate and up side by side, and their product."""
LOGIT_BYTES = 6.0
"""Of one logit in the sampler of the profiling step: half precision and float32."""
TOP_LOGIT_BYTES = 14.2
"""The same with top-k and top-p, so until PLAIN_PROFILE: and the indices of a sort."""
SORTED_LOGIT_BYTES = 38.0
"""The same before LEAN_SAMPLER."""
RUNTIME = 0.25 * GIB
"""CUDA context growth and kernels' workspaces on one GPU."""
COLLECTIVES = 2.1 * GIB
"""The same with tensor parallelism: buffers of NCCL and of the custom all-reduce."""
VISION = 0.25 * GIB
"""What a vision encoder takes beside the language model's activations."""
GRAPHS = 0.35 * GIB
GRAPHS_MOST = 1.9 * GIB
"""The largest pool of CUDA graphs that was seen (vLLM 0.19 on an H100: 0.5 to 1.85 GiB)."""
GRAPHS_MEAN = 1.05 * GIB
"""Their mean."""
SLACK = 1.25
"""How much larger than estimated activations and runtime may be where a plan shall hold."""
SLACK_FIXED = 0.5 * GIB
CERTAIN = 0.4
"""Part of the estimated activations that no engine does without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The sizes that decide how much one engine step needs, on one GPU."""

    hidden: int
    mlp: float
    """Width of the MLP, the share of this rank."""
    expert: float
    """Width of an expert, the share of this rank."""
    experts_per_token: int
    vocabulary: int
    """Logits of a sequence; 0 on a pipeline stage that does not sample."""
    element: int
    """Bytes of an activation."""
    vision: bool

    @classmethod
    def of(cls, architecture: Architecture, setup: Setup, stage: Stage) -> "Step":
        """The step of one rank of a stage."""
        experts, ranks = architecture.experts, setup.tensor_parallel
        shared = experts.shared_intermediate_size if experts else 0
        has_dense = experts is None or experts.layers < architecture.layers
        return cls(
            hidden=architecture.hidden_size,
            mlp=max(architecture.intermediate_size if has_dense else 0, shared) / ranks,
            expert=experts.intermediate_size / ranks if experts else 0,
            experts_per_token=experts.per_token if experts else 0,
            vocabulary=architecture.vocabulary_size if stage.last else 0,
            element=element_bytes(setup),
            vision=architecture.multimodal,
        )


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
        """All together."""
        return self.runtime + self.activations + self.graphs

    @property
    def least(self) -> float:
        """What is certain to be taken."""
        return CERTAIN * self.activations

    @property
    def most(self) -> float:
        """What a plan that shall hold counts with."""
        graphs = GRAPHS_MOST if self.graphs else 0.0
        return SLACK * (self.runtime + self.activations) + graphs + SLACK_FIXED


def overhead(architecture: Architecture, setup: Setup, stage: Stage, *, gpu: Gpu, batch: Batch) -> Overhead:
    """What one rank of a stage takes."""
    step = Step.of(architecture, setup, stage)
    is_captured = not setup.eager and gpu.capability is not None
    is_counted = is_captured and setup.version >= GRAPHS_COUNT
    return Overhead(
        runtime=COLLECTIVES if setup.tensor_parallel > 1 else RUNTIME,
        activations=activations(step, batch, setup.version) + (VISION if step.vision else 0.0),
        graphs=GRAPHS if is_counted else 0.0,
        beyond=_sampler(step, batch, TOP_LOGIT_BYTES) + (GRAPHS_MEAN if is_captured and not is_counted else 0.0),
    )


def activations(step: Step, batch: Batch, version: Version) -> float:
    """Bytes at the widest moment of a step."""
    token = step.element * batch.tokens
    widest = HIDDEN_COPIES * step.hidden * token + GATE_COPIES * step.mlp * token
    return max(widest, _sampler(step, batch, _logit(version))) + _experts(step, token)


def _sampler(step: Step, batch: Batch, logit: float) -> float:
    """The logits of all sequences, beside the hidden states that they come from."""
    hidden = HIDDEN_COPIES / 3 * step.hidden * step.element * batch.tokens
    return logit * step.vocabulary * min(batch.sequences, batch.tokens) + hidden


def _logit(version: Version) -> float:
    if version >= PLAIN_PROFILE:
        return LOGIT_BYTES
    return TOP_LOGIT_BYTES if version >= LEAN_SAMPLER else SORTED_LOGIT_BYTES


def _experts(step: Step, token: float) -> float:
    """The two work buffers of the fused kernel, which it keeps (vLLM `fused_moe`, `workspace_shapes`)."""
    rows = step.experts_per_token * token
    return rows * (max(step.expert, step.hidden) + max(2 * step.expert, step.hidden))
