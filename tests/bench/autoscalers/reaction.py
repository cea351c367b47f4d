"""Load that steps up at once, and halves later: when is enough decided, how much too much, and when is some given back?

`python -m tests.bench.autoscalers.reaction [RULE ...] [--write]`. The fleet is one replica at half of its load, for
five minutes; then the load is two or four times what one replica bears for ten minutes, and then half of that. The step
comes at a random phase of scrapes and decisions; 30 times.
"""

import argparse
import os
import random
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import pairwise, product
from math import inf, isinf
from pathlib import Path
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
"""Seconds at half load, seconds of the high load, and how much later the step may come."""
HALVED = 1800.0
"""Seconds that are looked at after the load has halved."""
LOW, SHARE = 0.5, 0.95
"""Load before, and the share of the whole replicas' load that comes after, so that the number needed is certain."""
FACTORS = (2, 4)
"""Even, so that half of the load needs a whole number of replicas too."""
TIMES = 30
STARTUP = 60.0
PAGE = Path(__file__).parents[1] / "results" / "reaction.md"


@dataclass(frozen=True)
class Reaction:
    """What one step led to."""

    decided: float | None
    """Seconds from the step until spec.replicas is enough; None: not within the time looked at."""
    decisions: int
    """Changes of spec.replicas until then."""
    overshoot: float
    """Most replicas asked for while the load is high, as a multiple of those needed."""
    given_back: float | None = None
    """Seconds from the halving until spec.replicas falls; None: not within the time looked at."""


def react(rule: str, factor: int, seed: int) -> Reaction:
    """One step to `factor` times what one replica bears, and then to half of that."""
    edge = capacity(CASE.name, ENGINE)
    step = BEFORE + random.Random(seed).uniform(0.0, PHASE)
    halved = step + AFTER
    pieces = [(0.0, LOW * edge), (step, SHARE * factor * edge), (halved, SHARE * factor / 2 * edge)]
    trace = poisson(pieces, span=halved + HALVED, lengths=traces.lengths(CASE), seed=seed)
    most = SPARE * factor
    fleet = replace(ENGINES[ENGINE].fleet(), startup=Startup(STARTUP, 0.2), max_replicas=most, initial=1)
    outcome = simulate(fleet, trace, rules.make(rule, Bounds(1, most), None, engine=ENGINE, slo=CASE.slo), seed=seed)
    up = judge(outcome, needed=factor, step=step)
    return replace(up, given_back=given_back(outcome, needed=factor // 2, halved=halved))


def judge(outcome: Outcome, *, needed: int, step: float) -> Reaction:
    """The way up: the reaction to a step at second `step` after which `needed` replicas bear the load."""
    wanted = [(change.at, change.replicas) for change in outcome.changes if change.at <= step + AFTER]
    before = [replicas for at, replicas in wanted if at < step][-1]
    after = [(at - step, replicas) for at, replicas in wanted if at >= step]
    enough = 0.0 if before >= needed else next((at for at, replicas in after if replicas >= needed), None)
    values = [before, *(replicas for at, replicas in after if enough is None or at <= enough)]
    decisions = sum(one != other for one, other in pairwise(values))
    return Reaction(enough, decisions, max([before, *(replicas for _, replicas in after)]) / needed)


def given_back(outcome: Outcome, *, needed: int, halved: float) -> float | None:
    """The way down: seconds from `halved`, after which `needed` replicas bear the load, until fewer are asked for.

    0 where no more than those were asked for already; None where it was not within the time looked at.
    """
    wanted = [(change.at - halved, change.replicas) for change in outcome.changes if change.at <= halved + HALVED]
    before = [replicas for at, replicas in wanted if at <= 0][-1]
    if before <= needed:
        return 0.0
    return next((at for at, replicas in wanted if at > 0 and replicas < before), None)


def line(rule: str, reactions: Sequence[Reaction]) -> str:
    """A row of the table."""
    up = _late_last(reaction.decided for reaction in reactions)
    down = _late_last(reaction.given_back for reaction in reactions)
    slowest = up[min(len(up) - 1, int(0.95 * len(up)))]
    decisions = fmean(reaction.decisions for reaction in reactions)
    most = max(reaction.overshoot for reaction in reactions)
    cells = (
        rule,
        _seconds(median(up), AFTER),
        _seconds(slowest, AFTER),
        f"{decisions:.1f}",
        f"{most:.2f}",
        f"{sum(not isinf(at) for at in up)}/{len(up)}",
        _seconds(median(down), HALVED),
    )
    return f"| {' | '.join(cells)} |"


def _late_last(times: Iterable[float | None]) -> list[float]:
    """In order; what did not come within the time looked at is later than everything that did."""
    return sorted(inf if at is None else at for at in times)


def _seconds(value: float, looked_at: float) -> str:
    return f"not within {looked_at:.0f} s" if isinf(value) else f"{value:.0f} s"


def _all(rule: str, factor: int) -> tuple[list[Reaction], float]:
    """All times, and the seconds that took."""
    began = time.monotonic()
    return [react(rule, factor, seed) for seed in range(1, TIMES + 1)], time.monotonic() - began


def play(names: Sequence[str]) -> dict[tuple[str, int], list[Reaction]]:
    """Every rule and factor, on all the cores there are; says how far it is."""
    capacity(CASE.name, ENGINE)
    asked = list(product(names, FACTORS))
    found: dict[tuple[str, int], list[Reaction]] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        started = {pool.submit(_all, rule, factor): (rule, factor) for rule, factor in asked}
        for future in as_completed(started):
            rule, factor = started[future]
            found[rule, factor], took = future.result()
            words = f"[{len(found)}/{len(asked)}] {rule}, {factor} times the load: {took:.0f} s"
            print(words, file=sys.stderr, flush=True)
    return found


def tables(found: Mapping[tuple[str, int], Sequence[Reaction]]) -> Iterator[str]:
    """A table for each factor."""
    for factor in FACTORS:
        yield f"Step to {factor} times what one replica bears ({TIMES} times)"
        yield ""
        yield (
            f"| | enough decided, p50 | p95 | decisions until then | overshoot, most | enough within {AFTER:.0f} s "
            "| given back after halving, p50 |"
        )
        yield "|---|---:|---:|---:|---:|---:|---:|"
        yield from (line(rule, reactions) for (rule, of), reactions in found.items() if of == factor)
        yield ""


def page(command: str, rows: Iterable[str]) -> Iterator[str]:
    """The page of results that the repository keeps."""
    yield "# Load that steps up at once and halves later, simulated"
    yield ""
    yield f"Made by `{command}`."
    yield WORDS
    yield ""
    yield from rows
    yield NOTES


WORDS = f"""\
Llama-3-8B on {ENGINE} with the coding hour's lengths, start-up {STARTUP:.0f} s +-20 %; one replica at half of its load,
then two or four times what one replica bears, at a random phase of scrapes and decisions, and ten minutes later half of
that. *Enough* is as many replicas as bear the high load; *overshoot* is the most that was ever asked for in those ten
minutes, as a multiple of that. maxReplicas is twice what is needed, so 2.00 is the most there can be. *Given back* is
when spec.replicas first falls, in seconds since the halving; {HALVED:.0f} s are looked at. A time that did not come
counts as later than all that did."""
NOTES = """\
A rule that has decided after 0 s with 0 decisions had enough replicas before the step; one that has given back after
0 s had no more than the halved load needs when the load halved, be it that it never had enough.
The operator itself looks a second time three seconds after a look that raises the question; the simulated one waits for
its next look, five seconds later. On a whole node it was measured: see "At scale" in
[the operator's README](../../../operator/README.md)."""


def main(argv: Sequence[str]) -> int:
    """Print a table for each step, and write them if that is asked for."""
    options = _parser().parse_args(argv)
    chosen = list(dict.fromkeys(options.rules)) or rules.NAMES
    played = play(chosen)
    rows = list(tables({asked: played[asked] for asked in product(chosen, FACTORS)}))
    print("\n".join(rows))
    if options.write:
        command = shlex.join(["python", "-m", "tests.bench.autoscalers.reaction", *argv])
        PAGE.write_text("\n".join(page(command, rows)) + "\n")
        print(f"written: {PAGE}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.autoscalers.reaction",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    named = f"these autoscalers only, of: {', '.join(rules.NAMES)}"
    parser.add_argument("rules", nargs="*", type=_rule, metavar="RULE", help=named)
    parser.add_argument("--write", action="store_true", help="write tests/bench/results/reaction.md")
    return parser


def _rule(name: str) -> str:
    """As `choices`, which argparse would also ask of no name at all."""
    if name not in rules.NAMES:
        raise argparse.ArgumentTypeError(f"no autoscaler {name!r}; there are: {', '.join(rules.NAMES)}")
    return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
