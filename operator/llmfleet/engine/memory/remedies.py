"""What to change when a model does not fit, the cheapest first. Pure.

Each remedy is a change of one thing that is planned again, so what is advised is what the planner would call fitting.
Free changes stand before those that cost more GPUs, and those before other GPUs, by their price where it is known.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from llmfleet.engine.memory.inputs import Gpu, Setup
from llmfleet.engine.memory.parallel import problems_of
from llmfleet.engine.memory.plan import MemoryPlan, Verdict, plan
from llmfleet.engine.methods import ANY, BFLOAT16, METHODS, NATIVE_FP8, method
from llmfleet.engine.models.architecture import Architecture
from llmfleet.engine.version import Version

FP8_SHORTHAND_PREFERRED = Version(0, 31, 0)
"""From here on plain fp8 is deprecated for unquantized checkpoints; fp8_per_tensor is the same."""
USUAL = 0.9
"""The API's default of gpuMemoryUtilization."""
FEW = 256
"""Sequences in a step: vLLM's choice for small GPUs."""
ROUND = 256
"""An advised length is a multiple of it."""
MANY = 4
"""Remedies that are told."""
_RANKS = (1, 2, 4, 8, 16)
_STRONGER = {Verdict.FITS: 0, Verdict.TIGHT: 1, Verdict.DOES_NOT_FIT: 2}


class Kind(StrEnum):
    """What is changed."""

    UTILIZATION = "gpuMemoryUtilization"
    BATCH = "maxNumSeqs"
    CONTEXT = "maxModelLen"
    KV_CACHE = "kvCacheDtype"
    QUANTIZATION = "quantization"
    QUANTIZED_RANKS = "quantization and tensorParallelSize"
    RANKS = "tensorParallelSize"
    PROFILE = "profile"


class Change(NamedTuple):
    """A field of the spec and its new value, as a user writes them."""

    field: str
    value: str


_ORDER = tuple(Kind)
"""What stands first where the price is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One change, and the plan that it leads to."""

    kind: Kind
    changes: tuple[Change, ...]
    plan: MemoryPlan
    price: float | None
    """More per hour than now, for one replica; 0 for no more GPUs, None where a price is not known."""


def remedies(architecture: Architecture, current: MemoryPlan, gpus: Sequence[Gpu]) -> tuple[Remedy, ...]:
    """The changes after which the model fits, the cheapest first; of two things where no free change is enough."""
    quantized = list(_quantizations(architecture, current))
    free = [*_utilizations(current), *_batches(current), *_contexts(current), *_caches(current), *quantized]
    found = _better(architecture, [*free, *_ranks(architecture, current)], current)
    if not any(remedy.plan.verdict is Verdict.FITS and remedy.price == 0 for remedy in found):
        pairs = [
            (Kind.QUANTIZED_RANKS, (*first, *second), setup, gpu)
            for _, first, changed, _ in quantized
            for _, second, setup, gpu in _ranks(architecture, replace(current, setup=changed))
        ]
        found += _better(architecture, pairs, current)
    found += _better(architecture, _profiles(architecture, current, gpus), current)
    return tuple(_cheapest(found))


_Candidate = tuple[Kind, tuple[Change, ...], Setup, Gpu]


def _better(architecture: Architecture, candidates: Iterable[_Candidate], current: MemoryPlan) -> list[Remedy]:
    """Those that help, planned."""
    found = []
    for kind, changes, setup, gpu in candidates:
        changed = plan(architecture, setup, gpu)
        if _STRONGER[changed.verdict] < _STRONGER[current.verdict]:
            found.append(Remedy(kind=kind, changes=changes, plan=changed, price=_price(current, setup, gpu)))
    return found


def _price(current: MemoryPlan, setup: Setup, gpu: Gpu) -> float | None:
    if gpu == current.gpu and setup.gpus == current.setup.gpus:
        return 0.0
    if gpu.price is None or current.gpu.price is None:
        return None
    return gpu.price * setup.gpus - current.gpu.price * current.setup.gpus


def _cheapest(found: Iterable[Remedy]) -> list[Remedy]:
    """What fits before what is tight; then by price, unknown ones last by the GPUs' memory; one of each kind."""

    def key(remedy: Remedy) -> tuple[int, bool, float, int]:
        memory = remedy.plan.gpu.memory_gib * remedy.plan.setup.gpus
        is_unpriced = remedy.price is None
        cost = memory if is_unpriced else max(remedy.price or 0.0, 0.0)
        return (_STRONGER[remedy.plan.verdict], is_unpriced, cost, _ORDER.index(remedy.kind))

    kept: dict[Kind, Remedy] = {}
    for remedy in sorted(found, key=key):
        kept.setdefault(remedy.kind, remedy)
    fitting = [remedy for remedy in kept.values() if remedy.plan.verdict is Verdict.FITS]
    return (fitting or list(kept.values()))[:MANY]


def _utilizations(current: MemoryPlan) -> Iterator[_Candidate]:
    """The usual share of the memory, where another one is asked for."""
    setup = current.setup
    if setup.utilization != USUAL:
        changed = replace(setup, utilization=USUAL)
        yield Kind.UTILIZATION, (Change("spec.engine.gpuMemoryUtilization", f"{USUAL:g}"),), changed, current.gpu


def _batches(current: MemoryPlan) -> Iterator[_Candidate]:
    """Fewer sequences in a step: their logits take memory."""
    if current.batch.sequences > FEW:
        changed = replace(current.setup, max_num_seqs=FEW)
        yield Kind.BATCH, (Change("spec.engine.maxNumSeqs", str(FEW)),), changed, current.gpu


def _contexts(current: MemoryPlan) -> Iterator[_Candidate]:
    """A shorter context: the longest that holds also in the worst case."""
    fill, setup = current.fill, current.setup
    most = fill.layout.longest(fill.worst, current.context)
    length = most // ROUND * ROUND if most >= ROUND else most
    if 0 < length < current.context:
        changed = replace(setup, max_model_len=length)
        yield Kind.CONTEXT, (Change("spec.engine.maxModelLen", str(length)),), changed, current.gpu


def _caches(current: MemoryPlan) -> Iterator[_Candidate]:
    """A KV cache of eight bits, where the GPU computes in them."""
    setup, capability = current.setup, current.gpu.capability
    if setup.kv_cache_dtype in {None, "auto"} and capability and capability >= NATIVE_FP8:
        yield (
            Kind.KV_CACHE,
            (Change("spec.engine.kvCacheDtype", "fp8"),),
            replace(setup, kv_cache_dtype="fp8"),
            current.gpu,
        )


def _quantizations(architecture: Architecture, current: MemoryPlan) -> Iterator[_Candidate]:
    """Quantizing an unquantized checkpoint while it is loaded, as mildly as helps."""
    setup, capability = current.setup, current.gpu.capability
    if architecture.quantization is not None or setup.quantization is not None or capability is None:
        return
    eight_bits = "fp8_per_tensor" if setup.version >= FP8_SHORTHAND_PREFERRED else "fp8"
    for name in (eight_bits, "nvfp4_per_token"):
        known = METHODS[name]
        if setup.version >= known.since and capability >= known.capability:
            yield (
                Kind.QUANTIZATION,
                (Change("spec.engine.quantization", str(name)),),
                replace(setup, quantization=name),
                current.gpu,
            )


def _ranks(architecture: Architecture, current: MemoryPlan) -> Iterator[_Candidate]:
    """More GPUs of the same node."""
    setup, gpu = current.setup, current.gpu
    for ranks in _RANKS:
        changed = replace(setup, tensor_parallel=ranks)
        if setup.tensor_parallel < ranks and changed.gpus <= gpu.per_node and not problems_of(architecture, changed):
            yield Kind.RANKS, (Change("spec.gpu.tensorParallelSize", str(ranks)),), changed, gpu


def _profiles(architecture: Architecture, current: MemoryPlan, gpus: Sequence[Gpu]) -> Iterator[_Candidate]:
    """Other GPUs, as many as it takes."""
    setup = current.setup
    for gpu in gpus:
        if gpu.name == current.gpu.name or not _takes(architecture, setup, gpu, current.gpu):
            continue
        for ranks in _RANKS:
            changed = replace(setup, tensor_parallel=ranks)
            if changed.gpus > gpu.per_node or problems_of(architecture, changed):
                continue
            split = () if ranks == setup.tensor_parallel else (Change("spec.gpu.tensorParallelSize", str(ranks)),)
            yield Kind.PROFILE, (Change("spec.gpu.profile", gpu.name), *split), changed, gpu


def _takes(architecture: Architecture, setup: Setup, gpu: Gpu, present: Gpu) -> bool:
    """Whether the same image, type and quantization run on another GPU."""
    if gpu.capability is None or present.capability is None:
        return False  # another maker's GPU needs another image
    checkpoint = architecture.quantization
    needed = method(checkpoint.method if checkpoint else setup.quantization)
    least = max(needed.capability if needed else ANY, BFLOAT16 if setup.dtype == "bfloat16" else ANY)
    return gpu.capability >= least
