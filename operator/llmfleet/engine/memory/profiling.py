"""The profiling step of an engine: the most that activations take, by the code that runs it. Part of the memory plan.

vLLM has had two model runners (`v1/worker/gpu_model_runner.py` and `v1/worker/gpu/`). In the first one the peak is the
widest layer at the most batched tokens, or the sampler at the most sequences. In the second one it is the widest layer,
or the moment at which the compiler holds a second copy of the embedding.
"""

from dataclasses import dataclass
from enum import Enum, auto

from llmfleet.engine.memory.batching import Batch
from llmfleet.engine.memory.inputs import Setup
from llmfleet.engine.memory.weights import Stage, element_bytes
from llmfleet.engine.models.architecture import Architecture
from llmfleet.engine.version import Version

LEAN_SAMPLER = Version(0, 17, 0)
"""From here on the sampler sorts no more logits than it must: on one and the same model 5.6 GiB became 2.2."""
SECOND_RUNNER = Version(0, 26, 0)
"""From here on (0.20 to 0.25 were not measured) models run on the second runner, but for most with experts."""
SECOND_RUNNER_FOR_ALL = Version(0, 32, 0)
"""From here on all do (its source; it was not measured), the profiling step samples, and CUDA graphs count."""
EARLY_EXPERTS = frozenset({"deepseek_v2", "qwen2_moe", "granitemoe"})
"""Models with experts that the second runner took first."""

HIDDEN_COPIES = 4.25
"""Vectors as long as the hidden state that live at a time for each batched token: residual, input, queries, output."""
GATE_COPIES = 3.0
"""Vectors as long as the MLP is wide: gate and up side by side, and their product."""
GATE_COPIES_ALONE = 4.0
"""The same in the second runner, where the hidden states hide behind them."""
LOGIT_BYTES = 6.0
"""Of one logit: half precision and float32."""
TOP_LOGIT_BYTES = 14.2
"""The same with top-k and top-p: and the indices of a sort."""
WARM_LOGIT_BYTES = 22.0
"""The same in the warm-up of SECOND_AT_FIRST (tests/engine/measured): 22.0 for Llama 3.1 8B, 21.5 for Qwen3 32B."""
SORTED_LOGIT_BYTES = 38.0
"""The same before LEAN_SAMPLER."""


class Runner(Enum):
    """Which code runs the profiling step."""

    SORTING = auto()
    """The first model runner, before LEAN_SAMPLER."""
    FIRST = auto()
    SECOND_AT_FIRST = auto()
    """The second one before SECOND_RUNNER_FOR_ALL."""
    SECOND = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The sizes that decide how much one engine step needs, on one GPU."""

    hidden: int
    mlp: float
    """Width of the MLP, the share of this rank."""
    expert: float
    """Width of an expert, the share of this rank."""
    experts_per_token: int
    """0 where the kernel needs no work buffers for them."""
    vocabulary: int
    """Logits of a sequence; 0 on a pipeline stage that does not sample."""
    embedding: float
    """Elements of the embedding on this rank; 0 on a stage that has none."""
    element: int
    """Bytes of an activation."""
    quantizes: bool
    """Activations are quantized too, which takes a byte for each."""
    vision: bool

    @classmethod
    def of(cls, architecture: Architecture, setup: Setup, stage: Stage) -> "Step":
        """The step of one rank of a stage."""
        experts, ranks = architecture.experts, setup.tensor_parallel
        shared = experts.shared_intermediate_size if experts else 0
        has_dense = experts is None or experts.layers < architecture.layers
        checkpoint = architecture.quantization
        has_buffers = experts is not None and (checkpoint is None or checkpoint.method != "mxfp4")
        compiles = stage.first and not setup.eager
        return cls(
            hidden=architecture.hidden_size,
            mlp=max(architecture.intermediate_size if has_dense else 0, shared) / ranks,
            expert=experts.intermediate_size / ranks if experts else 0,
            experts_per_token=experts.per_token if experts and has_buffers else 0,
            vocabulary=architecture.vocabulary_size if stage.last else 0,
            embedding=architecture.parameters.embedding / ranks if compiles else 0.0,
            element=element_bytes(setup),
            quantizes="fp8" in (setup.quantization or (checkpoint.method if checkpoint else "")),
            vision=architecture.multimodal,
        )


def runner_of(architecture: Architecture, version: Version) -> Runner:
    """The code that this version runs this model with."""
    if version >= SECOND_RUNNER_FOR_ALL:
        return Runner.SECOND
    if version >= SECOND_RUNNER and (architecture.experts is None or architecture.model_type in EARLY_EXPERTS):
        return Runner.SECOND_AT_FIRST
    return Runner.FIRST if version >= LEAN_SAMPLER else Runner.SORTING


def activations(step: Step, batch: Batch, runner: Runner) -> float:
    """Bytes at the widest moment of the step."""
    token = step.element * batch.tokens
    if runner in {Runner.SECOND, Runner.SECOND_AT_FIRST}:
        states = 2 * token + (batch.tokens if step.quantizes else 0)
        peaks = [GATE_COPIES_ALONE * step.mlp * token, step.embedding * step.element + step.hidden * states]
        if runner is Runner.SECOND:
            peaks.append(_sampler(step, batch, LOGIT_BYTES))
    else:
        logit = TOP_LOGIT_BYTES if runner is Runner.FIRST else SORTED_LOGIT_BYTES
        widest = HIDDEN_COPIES * step.hidden * token + GATE_COPIES * step.mlp * token
        peaks = [widest, _sampler(step, batch, logit)]
    return max(peaks) + _experts(step, token)


def top_sampling(step: Step, batch: Batch, runner: Runner) -> float:
    """Bytes of sampling with top-k and top-p at the most sequences, which every engine does while it warms up."""
    return _sampler(step, batch, WARM_LOGIT_BYTES if runner is Runner.SECOND_AT_FIRST else TOP_LOGIT_BYTES)


def _sampler(step: Step, batch: Batch, logit: float) -> float:
    """The logits of all sequences, beside the hidden states that they come from."""
    hidden = HIDDEN_COPIES / 3 * step.hidden * step.element * batch.tokens
    return logit * step.vocabulary * min(batch.sequences, batch.tokens) + hidden


def _experts(step: Step, token: float) -> float:
    """The two work buffers of the fused kernel, which it keeps (vLLM `fused_moe`, `workspace_shapes`)."""
    rows = step.experts_per_token * token
    return rows * (max(step.expert, step.hidden) + max(2 * step.expert, step.hidden))
