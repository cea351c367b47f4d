"""The page of results that the repository keeps, and its figure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from llmfleet.sim.outcome import Slo
from llmfleet.sim.peers.catalogue import PEERS
from tests.bench.autoscalers import figure, rules, table
from tests.bench.autoscalers.cases import CASES, DAY, slo_of
from tests.bench.autoscalers.jobs import SCRAPE, SPARE, capacity
from tests.bench.autoscalers.plan import Plan
from tests.bench.autoscalers.results import RESULTS, Result, to_rows


def write(plan: Plan, results: Sequence[Result], name: str, command: str, *, played: Mapping[str, Result]) -> Path:
    """All that was played as JSON, the figure and the page; returns the page's path."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(to_rows(played), indent=0) + "\n")
    by_case = table.rows(results)
    note = f"{plan.setting.engine}, start-up {plan.setting.startup:g} s +-20 %, seeds: at most {plan.seeds}"
    (RESULTS / f"{name}.svg").write_text(figure.picture(table.panels(by_case), note=note))
    path = RESULTS / f"{name}.md"
    path.write_text("\n".join(_page(plan, by_case, name, command)) + "\n")
    return path


def _page(plan: Plan, by_case: dict[str, list[table.Row]], name: str, command: str) -> Iterator[str]:
    yield "# Autoscalers on the same fleets and traces"
    yield ""
    yield from _setting(plan, command)
    yield ""
    yield from table.summary(by_case)
    yield ""
    yield f"![cost against requests in SLO]({name}.svg)"
    yield ""
    yield from _beside_others(by_case)
    yield ""
    yield WORDS
    yield ""
    yield from _names()
    for case, of_case in by_case.items():
        yield ""
        yield f"## {CASES[case].title}"
        yield ""
        yield _head(plan, case, of_case)
        yield ""
        yield from table.details(of_case)


def _setting(plan: Plan, command: str) -> Iterator[str]:
    setting = plan.setting
    seeds = "mean of the seeds, with the lowest and the highest" if plan.seeds > 1 else "one seed"
    weeks = "whole" if plan.days is None else f"{plan.days:g} days of them, from 8:00 UTC on Monday"
    good = f"at least {100 * table.GOOD_SHARE:g} % at {table.GOOD_COST:g}x or less"
    yield f"Made by `{command}`; what stands here is known to it, and played again with `--anew`."
    yield f"Llama-3-8B on {setting.engine}, start-up {setting.startup:g} s +-20 %, the router of least requests,"
    yield f"minReplicas 1, maxReplicas {SPARE} times what the highest minute needs; weeks: {weeks}; {seeds}."
    yield "A cell says how many requests kept their SLO (one that failed did not), and the GPU-hours paid as a multiple"
    yield f"of the offline optimum. Bold: {good}. An empty cell was not run."


def _beside_others(by_case: dict[str, list[table.Row]]) -> Iterator[str]:
    """Who is better than ours on both axes, who is nearly, and who keeps enough for the least, in plain words."""
    worse = {case: found for case, of_case in by_case.items() if (found := table.better(of_case))}
    if not worse:
        yield "On none of these traces is another autoscaler better than llmfleet (Balanced, as shipped) on both axes."
    for case, found in worse.items():
        yield f"- {CASES[case].title}: better than llmfleet on both axes: {_figures(found)}."
    for case, of_case in by_case.items():
        if found := table.near(of_case):
            less = f"at most {100 * table.NEAR:g} points less in SLO"
            yield f"- {CASES[case].title}: cheaper than llmfleet, with {less}: {_figures(found)}."
    for case, of_case in by_case.items():
        found = [row for ours in (True, False) if (row := table.thriftiest(of_case, ours=ours))]
        if len(found) > 1:
            share = f"{100 * table.GOOD_SHARE:g} % in SLO"
            yield f"- {CASES[case].title}: the cheapest with {share}, of ours and of the others: {_figures(found)}."


def _figures(found: Sequence[table.Row]) -> str:
    return ", ".join(f"{row.title} ({100 * row.in_slo:.2f} %, {row.cost:.2f}x)" for row in found)


def _names() -> Iterator[str]:
    yield "| name | what it is | as in | knob |"
    yield "|---|---|---|---|"
    yield "| llmfleet | objective Balanced, told of the wanted TTFT | this repository | targets.ttftSeconds |"
    yield "| llmfleet Latency, Throughput | the other objectives as they are | this repository | |"
    for name in rules.PEERS:
        peer = PEERS[name]
        yield f"| {name} | {peer.description} | {peer.source} | {peer.knob} |"


WORDS = """\
What stands for what:

- *offline optimum* as a number is the fluid bound: replicas for each minute's demand by the load that one alone bears,
  each start paid, gaps shorter than a start-up kept. As a row it is that plan, played: what SLO it buys. Several
  replicas behind one router bear more each than one alone, so less than 1x is possible.
- *one-step oracle* knows the demand until a replica started now would be ready, and nothing after that. It does here
  what the optimum does, which keeps only gaps shorter than a start-up.
- *static peak* and *static mean* hold the replicas that the highest minute and the mean minute need.
- *tuned*: the main knob with the lowest GPU-hours at 99 % in SLO or, where none has that, with the most in SLO; found
  on a part of the trace, with requests drawn anew (those of the real hour at its own rate are as they are).
- *worst p99* is the highest p99 of TTFT of an hour (ten minutes in runs shorter than six hours).
- *reversals* are changes of direction within ten minutes."""


def _head(plan: Plan, case: str, of_case: Sequence[table.Row]) -> str:
    runs = max((row.runs for row in of_case), key=len)
    run, edge = runs[0], capacity(case, plan.setting.engine)
    start, end = plan.part(CASES[case])
    requests = sum(each.requests for each in runs) / len(runs)
    late = SCRAPE + plan.setting.startup
    return (
        f"{_slo(slo_of(case, plan.setting.engine))}. {_seeds(of_case)}. Seconds {start:,.0f} to {end:,.0f} of it"
        f" ({(end - start) / DAY:.3g} days),\n{requests:,.0f} requests. One replica bears {edge:.2f} requests/s;"
        f" replicas needed: {run.mean_needed:.1f} on average,\n{run.needed} at most. Offline optimum:"
        f" {run.optimum_gpu_hours:.1f} GPU-hours. Reactive bound (demand known at once, replicas\n{late:g} s"
        f" later, 15 % of headroom, held for 10 minutes): {run.reactive_gpu_hours / run.optimum_gpu_hours:.2f}x."
    )


def _seeds(of_case: Sequence[table.Row]) -> str:
    """How often each was played, which may differ."""
    by_count: dict[int, list[str]] = {}
    for row in of_case:
        by_count.setdefault(len(row.runs), []).append(row.title)
    usual = max(by_count, key=lambda count: len(by_count[count]))
    others = "".join(f"; {', '.join(names)}: {count}" for count, names in by_count.items() if count != usual)
    return f"Seeds: {usual}{others}"


def _slo(slo: Slo) -> str:
    itl = f", mean ITL {1000 * slo.itl:g} ms" if slo.itl < 1 else ""
    return f"SLO of a request: TTFT {slo.ttft:g} s{itl}"
