"""The memory plan: will a model start on a GPU, and how much will its KV cache hold. Pure.

As vLLM sizes it (0.33.0 `v1/worker/gpu_worker.py`): of the memory that the engine sees, the utilization is its budget;
weights and what a profiling step takes come off; the rest is KV cache. A plan is an estimate, so it has two more
bounds: what is certain to be taken (only a model that does not fit even then is refused), and what may be taken (only a
model that fits even then is said to fit). Between them it is tight.
"""

from dataclasses import dataclass
from enum import StrEnum

from llmfleet.engine.memory import cache_layers
from llmfleet.engine.memory.batching import Batch, batch
from llmfleet.engine.memory.inputs import GIB, Gpu, Setup
from llmfleet.engine.memory.kv_cache import Layout, lay_out, token_bytes
from llmfleet.engine.memory.overhead import Overhead, overhead
from llmfleet.engine.memory.profiling import LEAN_SAMPLER, SECOND_RUNNER_FOR_ALL
from llmfleet.engine.memory.weights import Stage, Weights, stages, weights
from llmfleet.engine.methods import is_counted
from llmfleet.engine.models.architecture import Architecture
from llmfleet.engine.models.attention import AttentionKind
from llmfleet.engine.version import Version

UNKNOWN_CONTEXT = 2048
"""What vLLM takes where config.json names no length."""
WEIGHTS_EXACT = 0.015
"""Share by which counted weights may be off."""
CONTEXT = 0.55 * GIB
"""The CUDA context of the process, which lies outside the budget (0.51 GiB on an H100)."""
ASYNC_STEPS = Version(0, 20, 0)
"""From here on a step may be scheduled while another runs, so window layers hold the tokens of two."""


class Verdict(StrEnum):
    """Whether the engine will start."""

    FITS = "Fits"
    """It does, also if it takes more than estimated."""
    TIGHT = "Tight"
    """It may or may not."""
    DOES_NOT_FIT = "DoesNotFit"
    """It certainly does not."""


class Doubt(StrEnum):
    """Why a plan is tight."""

    KV_CACHE = "KvCache"
    """If more is taken than estimated, the KV cache does not hold one sequence."""
    ROOM = "Room"
    """Too little is left outside the budget for what the engine takes there while it warms up."""
    UNCOUNTED = "Uncounted"
    """The spec has something whose memory is not counted."""


class Confidence(StrEnum):
    """How far the numbers can be trusted."""

    HIGH = "High"
    """All that decides is known, and its like has been measured."""
    MEDIUM = "Medium"
    """All that decides is known."""
    LOW = "Low"
    """Something that decides is assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """The memory of one GPU of a pipeline stage, in bytes."""

    budget: float
    weights: Weights
    overhead: Overhead
    layout: Layout

    @property
    def kv_cache(self) -> float:
        """What is left for the KV cache, as likely as not; below 0 where even the rest does not fit."""
        return self.budget - self.weights.likely - self.overhead.total

    @property
    def best(self) -> float:
        """The same if no more is taken than is certain."""
        return self.budget - self.weights.least * (1 - WEIGHTS_EXACT) - self.overhead.least

    @property
    def worst(self) -> float:
        """The same if as much is taken as may be."""
        return self.budget - self.weights.likely * (1 + WEIGHTS_EXACT) - self.overhead.most

    @property
    def blocks(self) -> int:
        """Blocks of the KV cache."""
        return int(max(self.kv_cache, 0.0) // self.layout.block_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """The answer; bytes are of one GPU, that of the fullest pipeline stage."""

    gpu: Gpu
    setup: Setup
    batch: Batch
    fill: Fill
    token_bytes: int
    """KV cache of one token in all layers of a rank and all stages together."""
    context: int
    """The longest sequence that the engine is asked to take, tokens."""
    largest_context: int
    """The longest that fits, at most the model's own; 0: none."""
    verdict: Verdict
    doubt: Doubt | None
    """Why it is tight; None where it is not."""
    confidence: Confidence
    doubts: tuple[str, ...]
    """Sentences on what is assumed."""

    @property
    def kv_cache(self) -> float:
        """Bytes of the KV cache; 0 where nothing is left for one."""
        return max(self.fill.kv_cache, 0.0)

    @property
    def concurrency(self) -> float:
        """Sequences of the full length that fit at a time."""
        return self.fill.layout.concurrency(self.fill.kv_cache, self.context)

    @property
    def kv_tokens(self) -> int:
        """Tokens that the KV cache holds, as vLLM counts them."""
        return int(self.concurrency * self.context)


def plan(architecture: Architecture, setup: Setup, gpu: Gpu) -> MemoryPlan:
    """Work out one replica."""
    most = architecture.max_context or UNKNOWN_CONTEXT
    in_batch = _batch(architecture, setup, gpu)
    fills = [_fill(architecture, setup, stage, gpu=gpu, in_batch=in_batch) for stage in _stages(architecture, setup)]
    fullest = min(fills, key=lambda fill: fill.blocks)
    largest = min(fill.layout.longest(fill.kv_cache, most) for fill in fills)
    asked = setup.max_model_len
    context = max(largest, 1) if asked == "auto" else asked or architecture.default_context or most
    needed = 1 if asked == "auto" else context
    doubts = tuple(_doubts(architecture, setup, gpu))
    verdict, doubt = _verdict(fills, needed, gpu=gpu, setup=setup)
    return MemoryPlan(
        gpu=gpu,
        setup=setup,
        batch=in_batch,
        fill=fullest,
        token_bytes=token_bytes(cache_layers.kinds(architecture, setup)),
        context=context,
        largest_context=largest,
        verdict=verdict,
        doubt=doubt,
        confidence=_confidence(architecture, setup, doubts),
        doubts=doubts,
    )


def _batch(architecture: Architecture, setup: Setup, gpu: Gpu) -> Batch:
    length = setup.max_model_len if isinstance(setup.max_model_len, int) else architecture.default_context
    return batch(
        setup.max_num_batched_tokens,
        setup.max_num_seqs,
        memory_gib=gpu.memory_gib,
        capability=gpu.capability,
        longest=length or UNKNOWN_CONTEXT,
        unchunked=(length or 0) if setup.chunked_prefill is False else 0,
    )


def _stages(architecture: Architecture, setup: Setup) -> tuple[Stage, ...]:
    return stages(architecture.layers, setup.pipeline_parallel)


def _fill(architecture: Architecture, setup: Setup, stage: Stage, *, gpu: Gpu, in_batch: Batch) -> Fill:
    layout = lay_out(
        cache_layers.kinds(architecture, setup),
        in_flight=in_batch.tokens * (2 if setup.version >= ASYNC_STEPS else 1),
        share=stage.share,
        states=2 if setup.prefix_caching else 1,
    )
    return Fill(
        budget=gpu.total * setup.utilization,
        weights=weights(architecture, setup, stage),
        overhead=overhead(architecture, setup, stage, gpu=gpu, batch=in_batch),
        layout=layout,
    )


def _verdict(fills: list[Fill], tokens: int, *, gpu: Gpu, setup: Setup) -> tuple[Verdict, Doubt | None]:
    if not all(fill.layout.request_bytes(tokens) <= fill.best for fill in fills):
        return (Verdict.TIGHT, Doubt.UNCOUNTED) if setup.may_need_less else (Verdict.DOES_NOT_FIT, None)
    if not all(fill.layout.request_bytes(tokens) <= fill.worst for fill in fills):
        return Verdict.TIGHT, Doubt.KV_CACHE
    if any(fill.overhead.beyond > room(gpu, setup) for fill in fills):
        return Verdict.TIGHT, Doubt.ROOM
    return (Verdict.TIGHT, Doubt.UNCOUNTED) if setup.may_need_more else (Verdict.FITS, None)


def room(gpu: Gpu, setup: Setup) -> float:
    """Bytes outside the budget that are free."""
    return gpu.total * (1 - setup.utilization) - CONTEXT


def _doubts(architecture: Architecture, setup: Setup, gpu: Gpu) -> list[str]:
    """What is assumed, a sentence each."""
    found = list(architecture.caveats)
    if setup.may_need_less:
        found.append("An extra argument saves memory, and is not counted here.")
    if setup.may_need_more:
        found.append("Adapters, a draft model or an extra argument take memory that is not counted here.")
    if architecture.quantization is None and not is_counted(setup.quantization):
        found.append(f"How many bits a weight takes with {setup.quantization} is not known: 16 are counted.")
    if gpu.capability is None:
        found.append(f"The overhead is that of NVIDIA GPUs, and the profile {gpu.name} has no compute capability.")
    if not cache_layers.is_known(setup.kv_cache_dtype):
        found.append(f"The bytes of the KV cache type {setup.kv_cache_dtype} are not known: 16 bits are counted.")
    return found


def _confidence(architecture: Architecture, setup: Setup, doubts: tuple[str, ...]) -> Confidence:
    if doubts:
        return Confidence.LOW
    has_state = any(group.kind is AttentionKind.LINEAR for group in architecture.kv_groups)
    is_plain = not (architecture.multimodal or architecture.mla or has_state)
    is_measured = LEAN_SAMPLER <= setup.version < SECOND_RUNNER_FOR_ALL and setup.gpus == 1
    return Confidence.HIGH if is_plain and is_measured else Confidence.MEDIUM
