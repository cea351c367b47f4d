"""A memory plan in words: what it comes to, and what to do about it. Pure."""

from collections.abc import Sequence

from llmfleet.engine.memory.inputs import GIB
from llmfleet.engine.memory.plan import Doubt, MemoryPlan, Verdict, room
from llmfleet.engine.memory.remedies import Remedy


def sentence(name: str, plan: MemoryPlan, found: Sequence[Remedy]) -> str:
    """The verdict with its numbers, and the remedies where it is not the best one."""
    if plan.verdict is Verdict.FITS:
        return f"{name} fits on {where(plan)}: {_use(plan)}."
    if plan.verdict is Verdict.TIGHT:
        return f"{name} may not start on {where(plan)}: {_doubt(plan)}{_remedy(found)}."
    return f"{name} does not fit on {where(plan)}: {_lack(plan)}{_remedy(found)}."


def where(plan: MemoryPlan) -> str:
    """The GPUs of a replica."""
    gpus = plan.setup.gpus
    return plan.gpu.name if gpus == 1 else f"{gpus} x {plan.gpu.name}"


def gib(size: float) -> str:
    """Bytes as GiB, as vLLM prints them."""
    return f"{size / GIB:.1f} GiB"


def changes(remedy: Remedy) -> str:
    """What a user has to set."""
    return " and ".join(f"{change.field} to {change.value}" for change in remedy.changes)


def _use(plan: MemoryPlan) -> str:
    """What the KV cache holds."""
    sequences = f"{plan.concurrency:.1f} sequences of {plan.context:,} tokens at a time"
    return f"{gib(plan.kv_cache)} of KV cache for {plan.kv_tokens:,} tokens, {sequences}"


def _doubt(plan: MemoryPlan) -> str:
    """Why it may not."""
    fill = plan.fill
    if plan.doubt is Doubt.ROOM:
        return (
            f"gpuMemoryUtilization {plan.setup.utilization:g} leaves {gib(max(room(plan.gpu, plan.setup), 0.0))} for "
            f"what the engine takes beyond it while it warms up, about {gib(fill.overhead.beyond)}"
        )
    if plan.doubt is Doubt.UNCOUNTED:
        return f"not all that it takes is counted; without that, {_use(plan)}"
    if not plan.kv_tokens:
        taken = gib(fill.weights.likely + fill.overhead.total)
        return f"weights and activations take about {taken}, and the engine may use {gib(fill.budget)}"
    return f"{_use(plan)}, which is too little if it takes more than estimated"


def _lack(plan: MemoryPlan) -> str:
    """What is too large."""
    fill, budget = plan.fill, plan.setup.utilization
    if fill.best <= 0:
        return (
            f"the weights take {gib(fill.weights.likely)} of each GPU, and gpuMemoryUtilization {budget:g} leaves the "
            f"engine {gib(fill.budget)}"
        )
    needed = fill.layout.request_bytes(1 if plan.setup.max_model_len == "auto" else plan.context)
    return (
        f"one sequence of {plan.context:,} tokens needs {gib(needed)} of KV cache, and beside "
        f"{gib(fill.weights.likely)} of weights about {gib(plan.kv_cache)} are left"
    )


def _remedy(found: Sequence[Remedy]) -> str:
    return f": set {', or '.join(changes(remedy) for remedy in found)}" if found else ""
