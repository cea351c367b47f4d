"""A simulation as text for a terminal of 80 columns."""

import textwrap
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from statistics import fmean

from llmfleet.sim.advice import Advice, Goal, hours
from llmfleet.sim.outcome import Outcome
from llmfleet.sim.peers.catalogue import PEERS
from llmfleet.sim.plot import ttft_p99
from llmfleet.sim.scenario import Scenario
from llmfleet.sim.trace import Trace

WIDTH = 80
PIECES = 12
"""Lines of the table over time."""
MILLION = 1e6


def head(of: Scenario) -> str:
    """What is simulated."""
    return f"{of.model} on {of.fleet.gpus_per_replica} x {of.gpu}"


def report(
    of: Scenario, trace: Trace, goal: Goal, outcomes: Mapping[str, Outcome], advice: Advice | None
) -> Iterator[str]:
    """The lines about one object."""
    yield from _what(of, trace, goal)
    yield ""
    yield from _rules(of, goal, outcomes)
    name, first = next(iter(outcomes.items()))
    yield ""
    yield f"  {name} over time"
    yield from _over_time(first)
    yield ""
    yield from _verdict(of, goal, name, first)
    if advice is not None:
        yield ""
        yield from _advice(of, advice)
    for note in (*of.notes, *trace.notes):
        yield ""
        yield from _wrapped(f"Note: {note}")


def rules() -> Iterator[str]:
    """The autoscalers that there are."""
    yield f"{'builtin':18} the operator's own"
    for name, peer in PEERS.items():
        yield f"{name:18} {peer.description}"


def cost(of: Scenario, outcome: Outcome) -> float | None:
    """US dollars, if the profile has a price."""
    return None if of.price_per_hour is None else of.price_per_hour * outcome.gpu_hours


def cost_per_million(of: Scenario, outcome: Outcome) -> float | None:
    """US dollars for a million tokens, of prompts and answers that were served."""
    dollars, tokens = cost(of, outcome), outcome.prompt_tokens + outcome.generation_tokens
    return None if dollars is None or not tokens else dollars / tokens * MILLION


def _what(of: Scenario, trace: Trace, goal: Goal) -> Iterator[str]:
    limits, times, count = of.fleet.limits, of.fleet.step_time, len(trace)
    yield head(of)
    yield ""
    prompt, output = sum(trace.prompt_tokens) / count, sum(trace.output_tokens) / count
    rows = (
        ("trace", f"{count:,} requests in {_duration(trace.span)}, {trace.rate:.2f} a second"),
        ("a request, on average", f"{prompt:,.0f} prompt tokens, {output:,.0f} of answer"),
        ("KV cache of a replica", f"{(limits.blocks - 1) * limits.block_size:,} tokens"),
        ("a step, at most", f"{limits.max_num_batched_tokens:,} tokens, {limits.max_num_seqs:,} sequences"),
        ("step time, ms", f"{times.alpha_ms:.3g}; {times.beta_ms:.3g} a token; {times.gamma_ms:.3g} a KV token"),
        ("start of a pod", f"{of.fleet.startup.seconds:g} s, {of.fleet.startup.spread:.0%} more or less"),
        ("objective", _objective(goal)),
    )
    for name, words in rows:
        yield f"  {name:22} {words}"
    yield from _wrapped(f"Step times are {of.step_source}.")


def _objective(goal: Goal) -> str:
    itl = "" if goal.slo.itl == float("inf") else f", ITL within {goal.slo.itl:g} s"
    return f"{100 * goal.share:g} % of the requests: TTFT within {goal.slo.ttft:g} s{itl}"


def _rules(of: Scenario, goal: Goal, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    yield "  autoscaler        in time   GPU-h    cost TTFT p50     p99     replicas moves"
    for name, outcome in outcomes.items():
        dollars = cost(of, outcome)
        numbers = [change.replicas for change in outcome.changes]
        replicas = f"{outcome.replicas_mean:.1f} ({min(numbers)}-{max(numbers)})"
        yield (
            f"  {name:17} {100 * outcome.attainment(goal.slo):6.2f}% {hours(outcome.gpu_hours):>7} "
            f"{'-' if dollars is None else f'${dollars:.0f}':>7} {_seconds(outcome.ttft_quantile(0.5)):>8} "
            f"{_seconds(outcome.ttft_quantile(0.99)):>7} {replicas:>12} {outcome.actions:5}"
        )


def _seconds(value: float) -> str:
    if value == float("inf"):
        return "never"
    return f"{value:.2f}s" if value < 100 else f"{value:.0f}s"  # noqa: PLR2004 - three digits are enough


def _over_time(outcome: Outcome) -> Iterator[str]:
    """A line for each twelfth of the trace."""
    yield f"  {'from':>9} {'req/s':>7} {'replicas':>9} {'ready':>6} {'KV':>5} {'waiting':>8} {'TTFT p99':>9}"
    times, changes = [sample.at for sample in outcome.samples], outcome.changes
    slow = dict(zip(*ttft_p99(outcome, PIECES), strict=True))
    for piece in range(PIECES):
        start, end = (outcome.span * edge / PIECES for edge in (piece, piece + 1))
        samples = outcome.samples[bisect_left(times, start) : bisect_left(times, end)]
        now = changes[bisect_right([change.at for change in changes], (start + end) / 2) - 1]
        count = bisect_left(outcome.arrived, end) - bisect_left(outcome.arrived, start)
        kv = f"{fmean(sample.kv_mean for sample in samples):5.0%}" if samples else "    -"
        waiting = max((sample.waiting for sample in samples), default=0)
        ttft = _seconds(slow[start]) if start in slow else "-"
        rate = count / (end - start)
        yield f"  {_duration(start):>9} {rate:7.2f} {now.replicas:9} {now.ready:6} {kv} {waiting:8} {ttft:>9}"


def _verdict(of: Scenario, goal: Goal, name: str, outcome: Outcome) -> Iterator[str]:
    kept = "keeps" if goal.is_kept(outcome) else "misses"
    words = (
        f"{name} {kept} the objective: {100 * outcome.attainment(goal.slo):.2f} % of the requests in time, "
        f"{outcome.failed} failed, {hours(outcome.gpu_hours)} GPU-hours"
    )
    dollars, million = cost(of, outcome), cost_per_million(of, outcome)
    if dollars is not None and million is not None:
        words += f", ${dollars:.2f}, ${million:.3f} for a million tokens"
    yield from _wrapped(f"{words}.")


def _advice(of: Scenario, advice: Advice) -> Iterator[str]:
    scaling = advice.chosen.scaling
    bounds = f"minReplicas: {scaling.min_replicas}, maxReplicas: {scaling.max_replicas}"
    own = of.scaling
    same = (own.objective, own.min_replicas, own.max_replicas) == (
        scaling.objective,
        scaling.min_replicas,
        scaling.max_replicas,
    )
    yield f"  {'Keep' if same else 'Recommended'}: scaling: {{objective: {scaling.objective.value}, {bounds}}}"
    yield from _wrapped(f"Why: {advice.reason}")


def _duration(seconds: float) -> str:
    for size, name in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def _wrapped(words: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
