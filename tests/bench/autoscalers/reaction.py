"""Load that steps up at once: when is enough decided, in how many decisions, and how much too much?

`python -m tests.bench.autoscalers.reaction`. The fleet is one replica at half of its load, for five minutes; then the
load is two or four times what one replica bears. The step comes at a random phase of scrapes and decisions; 30 times.
"""

import os
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise, product
from statistics import fmean, median

from llmfleet.sim.fleet import simulate
from llmfleet.sim.outcome import Outcome
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.spec import Startup
from llmfleet.sim.trace_made import poisson
from tests.bench.autoscalers import rules, traces
from tests.bench.autoscalers.cases import CASES, ENGINES
from tests.bench.autoscalers.jobs import SPARE, capacity

CASE, ENGINE = CASES["step"], "A100-40G"
BEFORE, AFTER, PHASE = 300.0, 600.0, 60.0
"""Seconds at half load, seconds of the high load that are looked at, and how much later the step may come."""
LOW, SHARE = 0.5, 0.95
"""Load before, and the share of the whole replicas' load that comes after, so that the number needed is certain."""
TIMES = 30
STARTUP = 60.0


@dataclass(frozen=True)
class Reaction:
    """What one step led to."""

    decided: float | None
    """Seconds from the step until spec.replicas is enough; None: not within the time looked at."""
    decisions: int
    """Changes of spec.replicas until then."""
    overshoot: float
    """Most replicas asked for, as a multiple of those needed."""


def react(rule: str, factor: int, seed: int) -> Reaction:
    """One step to `factor` times what one replica bears."""
    edge = capacity(CASE.name, ENGINE)
    step = BEFORE + random.Random(seed).uniform(0.0, PHASE)
    pieces = [(0.0, LOW * edge), (step, SHARE * factor * edge)]
    trace = poisson(pieces, span=step + AFTER, lengths=traces.lengths(CASE), seed=seed)
    most = SPARE * factor
    fleet = replace(ENGINES[ENGINE].fleet(), startup=Startup(STARTUP, 0.2), max_replicas=most, initial=1)
    outcome = simulate(fleet, trace, rules.make(rule, Bounds(1, most), None, engine=ENGINE, slo=CASE.slo), seed=seed)
    return judge(outcome, needed=factor, step=step)


def judge(outcome: Outcome, *, needed: int, step: float) -> Reaction:
    """The reaction to a step at second `step` after which `needed` replicas bear the load."""
    wanted = [(change.at, change.replicas) for change in outcome.changes if change.at <= step + AFTER]
    before = [replicas for at, replicas in wanted if at < step][-1]
    after = [(at - step, replicas) for at, replicas in wanted if at >= step]
    enough = 0.0 if before >= needed else next((at for at, replicas in after if replicas >= needed), None)
    values = [before, *(replicas for at, replicas in after if enough is None or at <= enough)]
    decisions = sum(one != other for one, other in pairwise(values))
    return Reaction(enough, decisions, max([before, *(replicas for _, replicas in after)]) / needed)


def line(rule: str, reactions: Sequence[Reaction]) -> str:
    """A row of the table."""
    times = sorted(reaction.decided for reaction in reactions if reaction.decided is not None)
    missed = len(reactions) - len(times)
    slowest = f"{_quantile(times, 0.95):.0f} s" if times and missed <= 0.05 * len(reactions) else "not within 600 s"
    middle = f"{median(times):.0f} s" if len(times) > len(reactions) / 2 else "not within 600 s"
    most = max(reaction.overshoot for reaction in reactions)
    decisions = fmean(reaction.decisions for reaction in reactions)
    return f"| {rule} | {middle} | {slowest} | {decisions:.1f} | {most:.2f} | {len(times)}/{len(reactions)} |"


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def _all(asked: tuple[str, int]) -> list[Reaction]:
    rule, factor = asked
    return [react(rule, factor, seed) for seed in range(1, TIMES + 1)]


def main(names: Sequence[str]) -> int:
    """Print a table for each step."""
    capacity(CASE.name, ENGINE)
    chosen = names or rules.NAMES
    asked = list(product(chosen, (2, 4)))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(asked, pool.map(_all, asked), strict=True))
    for factor in (2, 4):
        print(f"\nStep to {factor} times what one replica bears ({TIMES} times)\n")
        print("| | enough decided, p50 | p95 | decisions until then | overshoot, most | enough within 600 s |")
        print("|---|---:|---:|---:|---:|---:|")
        for rule in chosen:
            print(line(rule, found[rule, factor]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
