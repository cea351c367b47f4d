"""A memory plan as text for a terminal of 80 columns."""

import textwrap
from collections.abc import Iterator, Sequence

from llmfleet.api.settings import Settings
from llmfleet.engine.memory.inputs import GIB
from llmfleet.engine.memory.plan import MemoryPlan, Verdict
from llmfleet.engine.memory.planning import Outlook
from llmfleet.engine.memory.remedies import Remedy
from llmfleet.engine.models import table
from llmfleet.engine.models.architecture import Architecture
from llmfleet.engine.problem import Problem, Severity

WIDTH = 80
BAR = 60
"""Characters of the bar of one GPU's memory."""
PIECES = (("weights", "#"), ("overhead", "="), ("KV cache", "-"), ("not used", "."))
VERDICTS = {
    Verdict.FITS: "It fits.",
    Verdict.TIGHT: "It is tight: it may or may not start.",
    Verdict.DOES_NOT_FIT: "It does not fit.",
}
BILLION = 1e9


def report(seen: Outlook, problems: Sequence[Problem]) -> Iterator[str]:
    """The lines about one model."""
    plan, architecture = seen.plan, seen.case.architecture
    yield from textwrap.wrap(_head(seen), WIDTH, break_on_hyphens=False)
    if plan is not None and architecture is not None:
        yield ""
        yield from _memory(plan, architecture)
        yield ""
        yield from _capacity(plan)
        yield ""
        yield f"  {_verdict(plan, problems)} (confidence: {plan.confidence.value.lower()})"
        yield from (line for doubt in plan.doubts for line in _wrapped(doubt))
    elif not problems:
        yield ""
        yield from _wrapped(seen.message)
    yield from _problems(seen, problems)
    yield from _remedies(seen)


def models() -> Iterator[str]:
    """The table of well-known models."""
    yield f"{'model':48} {'parameters':>10} {'layers':>6} {'context':>9}"
    for name in table.names():
        found = table.find(name)
        if found is not None:
            size = f"{found.parameters.total / BILLION:.1f} B"
            yield f"{name:48} {size:>10} {found.layers:>6} {found.max_context or 0:>9,}"


def gpus(settings: Settings) -> Iterator[str]:
    """The GPU profiles."""
    yield f"{'profile':24} {'GiB':>6} {'capability':>10} {'a node':>6} {'price/h':>8}"
    for profile in settings.gpu_profiles:
        price = "" if profile.price_per_hour is None else f"{profile.price_per_hour:.2f}"
        name = f"{profile.name} (default)" if profile.default else profile.name
        capability = profile.compute_capability or "-"
        yield f"{name:24} {profile.memory_gib:>6g} {capability:>10} {profile.gpus_per_node:>6} {price:>8}".rstrip()


def _head(seen: Outlook) -> str:
    profile, setup = seen.case.profile, seen.case.setup
    where = f" on {setup.gpus} x {profile.name}" if profile else ""
    return f"{seen.case.model or seen.case.deployment.spec.model.source}{where}, vLLM {setup.version}"


def _verdict(plan: MemoryPlan, problems: Sequence[Problem]) -> str:
    """What the memory says; it has the last word only where nothing else stands in the way."""
    is_refused = any(problem.severity is Severity.ERROR for problem in problems)
    if is_refused and plan.verdict is not Verdict.DOES_NOT_FIT:
        return "The memory may do, but the engine will not start."
    return VERDICTS[plan.verdict]


def _memory(plan: MemoryPlan, architecture: Architecture) -> Iterator[str]:
    """The bar and its legend."""
    fill, total = plan.fill, plan.gpu.total
    sizes = (fill.weights.likely, fill.overhead.total, plan.kv_cache)
    free = max(total - sum(sizes), 0.0)
    yield f"  memory of {'one GPU' if plan.setup.gpus == 1 else 'each GPU'}, {total / GIB:.1f} GiB"
    yield f"  [{_bar((*sizes, free), max(total, sum(sizes)))}]"
    yield ""
    runtime, activations, graphs, _ = (size / GIB for size in fill.overhead)
    notes = (
        f"{architecture.parameters.total / BILLION:.1f} B parameters, {_kind(plan, architecture)}",
        f"activations {activations:.1f}, runtime {runtime:.1f}, graphs {graphs:.1f}",
        f"{plan.token_bytes / 1024:,.1f} KiB a token",
        f"gpuMemoryUtilization {plan.setup.utilization:g}",
    )
    for (name, sign), size, note in zip(PIECES, (*sizes, free), notes, strict=True):
        yield f"  {sign} {name:10} {size / GIB:8.1f} GiB {size / total:6.0%}   {note}"


def _bar(sizes: Sequence[float], total: float) -> str:
    """Each size as its share of the bar, the rounding left to the last."""
    drawn, seen = "", 0.0
    for (_, sign), size in zip(PIECES, sizes, strict=True):
        seen += size
        drawn += sign * (round(seen / total * BAR) - len(drawn))
    return drawn.ljust(BAR, PIECES[-1][1])[:BAR]


def _kind(plan: MemoryPlan, architecture: Architecture) -> str:
    checkpoint = architecture.quantization
    if checkpoint is not None:
        return checkpoint.method or "quantized"
    return plan.setup.quantization or (
        plan.setup.dtype if plan.setup.dtype != "auto" else architecture.dtype or "16 bits"
    )


def _capacity(plan: MemoryPlan) -> Iterator[str]:
    rows = (
        ("KV cache holds", f"{plan.kv_tokens:,}", "tokens"),
        ("longest sequence (maxModelLen)", f"{plan.context:,}", "tokens"),
        ("such sequences at a time", f"{plan.concurrency:.1f}", ""),
        ("largest maxModelLen that fits", f"{plan.largest_context:,}", "tokens"),
        ("batch of one step, at most", f"{plan.batch.tokens:,}", f"tokens, {plan.batch.sequences:,} sequences"),
    )
    for name, number, unit in rows:
        yield f"  {name:32} {number:>12} {unit}".rstrip()


def _problems(seen: Outlook, problems: Sequence[Problem]) -> Iterator[str]:
    """What is known against it; the remedies stand below, so they are left out of the sentence on memory."""
    for problem in problems:
        words = problem.message
        if words == seen.message and seen.remedies:
            words = f"{words.rpartition(': set ')[0]}."
        yield ""
        yield from _wrapped(f"{'Error' if problem.severity is Severity.ERROR else 'Warning'}: {words}")


def _remedies(seen: Outlook) -> Iterator[str]:
    if not seen.remedies:
        return
    fits = all(remedy.plan.verdict is Verdict.FITS for remedy in seen.remedies)
    yield ""
    yield f"  What to change, the cheapest first ({'each of them fits' if fits else 'tight all the same'}):"
    for remedy in seen.remedies:
        yield from _remedy(remedy)


def _remedy(remedy: Remedy) -> Iterator[str]:
    plan = remedy.plan
    first, *others = [f"{change.field.removeprefix('spec.')}: {change.value}" for change in remedy.changes]
    cost = "" if not remedy.price else f"{remedy.price:+.2f} an hour"
    yield f"  - {first:36} {plan.kv_tokens:>10,} KV tokens  {cost}".rstrip()
    yield from (f"    {other}" for other in others)


def _wrapped(words: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
