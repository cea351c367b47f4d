"""`make bench`: autoscalers on real load, in simulated time.

Without options it is the short form, minutes, which fails when our own has become worse than the stored figures.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.bench.autoscalers import page, rules, short, table
from tests.bench.autoscalers.cases import CASES, ENGINES
from tests.bench.autoscalers.jobs import Job, Setting, key
from tests.bench.autoscalers.plan import Plan, available
from tests.bench.autoscalers.pool import known, run_all
from tests.bench.autoscalers.results import RESULTS, Result, Shelf
from tests.bench.autoscalers.traces import VARIABLE


def main(argv: list[str]) -> int:
    """Run a comparison; 1 where the short form finds that ours has become worse."""
    options = _parser().parse_args(argv)
    if options.traces:
        os.environ[VARIABLE] = str(options.traces.resolve())
    if not options.full:
        return short.check(Shelf(), update=options.update)
    shelf = Shelf(pages=None if options.anew else RESULTS)
    plan = Plan(
        cases=options.cases or available(),
        rules=options.rules or rules.NAMES,
        setting=Setting(case="", engine=options.engine, peak=options.peak, startup=options.startup),
        seeds=options.seeds,
        days=options.days,
        tune=() if options.untuned else options.tune or options.rules or rules.NAMES,
    )
    played: dict[str, Result] = {}

    def play(jobs: Iterable[Job]) -> Mapping[Job, Result]:
        found = (known if options.known else run_all)(jobs, shelf=shelf)
        played.update({key(job): result for job, result in found.items()})
        return found

    results = plan.run(play)
    print("\n".join(table.summary(table.rows(results))))
    if options.name:
        command = f'make bench ARGS="{" ".join(word for word in argv if word not in {"--known", "--anew"})}"'
        print(f"written: {page.write(plan, results, options.name, command, played=played)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all autoscalers, as shipped and tuned; minutes to hours")
    parser.add_argument("--update", action="store_true", help="store the short form's figures as those to keep")
    parser.add_argument("--traces", type=Path, help=f"folder of more traces (or {VARIABLE})")
    chosen = parser.add_argument_group("with --full")
    chosen.add_argument("--cases", nargs="+", choices=CASES, help="these traces only")
    chosen.add_argument("--rules", nargs="+", choices=rules.NAMES, help="these autoscalers only, beside the oracles")
    chosen.add_argument("--engine", choices=ENGINES, default="A100-40G")
    chosen.add_argument("--peak", type=int, default=8, help="replicas that the highest minute needs")
    chosen.add_argument("--startup", type=float, default=120.0, help="seconds, +-20 %%")
    chosen.add_argument("--days", type=float, help="so many days of a week, from its first working morning")
    chosen.add_argument("--seeds", type=int, default=5, help="seeds 1 to this")
    chosen.add_argument("--untuned", action="store_true", help="as shipped only")
    chosen.add_argument("--tune", nargs="+", choices=rules.NAMES, help="tune these autoscalers only")
    chosen.add_argument("--anew", action="store_true", help="play also what the repository's pages have: hours")
    chosen.add_argument("--known", action="store_true", help="run nothing, and show what has been run already")
    chosen.add_argument("--name", help="write tests/bench/results/NAME.md, .svg and .json")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
