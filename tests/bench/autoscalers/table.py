"""Results -> Markdown: one table of all, one for each trace, and what stands out. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tests.bench.autoscalers.cases import CASES
from tests.bench.autoscalers.figure import Panel, Point
from tests.bench.autoscalers.results import Result

OURS = "llmfleet"
BOUNDS = ("offline optimum", "one-step oracle")
STATIC = ("static peak", "static mean")
GOOD_SHARE, GOOD_COST = 0.99, 1.25
NEAR = 0.005
"""Share of the requests."""


@dataclass(frozen=True)
class Row:
    """One autoscaler on one trace: its seeds."""

    name: str
    runs: Sequence[Result]

    @property
    def in_slo(self) -> float:
        """Mean share of the seeds."""
        return fmean(run.in_slo for run in self.runs)

    @property
    def cost(self) -> float:
        """Mean multiple of the offline optimum."""
        return fmean(run.cost for run in self.runs)

    @property
    def tuned(self) -> bool:
        """Whether its knob is not as shipped."""
        return self.runs[0].knob is not None

    @property
    def kind(self) -> str:
        """What the figure draws it as."""
        if self.name.startswith(OURS):
            return "ours"
        if self.name in BOUNDS:
            return "bound"
        if self.name in STATIC:
            return "static"
        return "tuned" if self.tuned else "peer"

    @property
    def title(self) -> str:
        """The name, with the knob where it was tuned."""
        knob = self.runs[0].knob
        return self.name if knob is None else f"{self.name} (tuned: {knob:g})"


def rows(results: Iterable[Result]) -> dict[str, list[Row]]:
    """Case -> its rows; seeds of one autoscaler at one knob belong together."""
    found: dict[str, dict[tuple[str, float | None], list[Result]]] = {}
    for result in results:
        found.setdefault(result.case, {}).setdefault((result.rule, result.knob), []).append(result)
    return {case: [Row(name, runs) for (name, _), runs in by_rule.items()] for case, by_rule in found.items()}


def better(rows_of_case: Sequence[Row]) -> list[Row]:
    """Those that beat ours on both axes: not less in SLO and not dearer, and one of the two truly better."""
    return [
        row
        for ours, row in _beside_ours(rows_of_case)
        if row.in_slo >= ours.in_slo and row.cost <= ours.cost and (row.in_slo, -row.cost) != (ours.in_slo, -ours.cost)
    ]


def near(rows_of_case: Sequence[Row]) -> list[Row]:
    """Those that are cheaper than ours and keep nearly as many requests in SLO, the cheapest first."""
    found = [
        row
        for ours, row in _beside_ours(rows_of_case)
        if ours.in_slo - NEAR <= row.in_slo < ours.in_slo and row.cost < ours.cost
    ]
    return sorted(found, key=lambda row: row.cost)


def thriftiest(rows_of_case: Sequence[Row], *, ours: bool) -> Row | None:
    """The cheapest with enough in SLO, of ours or of the others: each is thought to have been tuned for that."""
    kinds = {"ours"} if ours else {"peer", "tuned", "static"}
    good = [row for row in rows_of_case if row.kind in kinds and row.in_slo >= GOOD_SHARE]
    return min(good, key=lambda row: row.cost, default=None)


def _beside_ours(rows_of_case: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """Ours as shipped with each of those that it is compared with; nothing where ours was not run."""
    ours = next((row for row in rows_of_case if row.name == OURS), None)
    if ours is not None:
        yield from ((ours, row) for row in rows_of_case if row.kind in {"peer", "tuned", "static"})


def summary(by_case: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Autoscaler x trace: share in SLO and cost in each cell."""
    names = list(dict.fromkeys((row.name, row.tuned) for case in by_case.values() for row in case))
    yield "| | " + " | ".join(CASES[case].title for case in by_case) + " |"
    yield "|---|" + "---|" * len(by_case)
    for name, tuned in sorted(names, key=lambda name: _order(name[0], tuned=name[1])):
        cells = []
        for case in by_case.values():
            row = next((row for row in case if row.name == name and row.tuned == tuned), None)
            cells.append(_cell(row) if row else "")
        yield f"| {_bold(name)}{', tuned' if tuned else ''} | " + " | ".join(cells) + " |"


def details(of_case: Sequence[Row]) -> Iterator[str]:
    """One trace in full."""
    yield "| | in SLO | GPU-hours | / optimum | TTFT p50 | worst p99 | most replicas | actions | reversals | failed |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for row in sorted(of_case, key=lambda row: _order(row.name, tuned=row.tuned)):
        runs = row.runs
        cells = (
            _range([100 * run.in_slo for run in runs], "{:.2f}") + " %",
            _range([run.gpu_hours for run in runs], "{:.1f}"),
            _range([run.cost for run in runs], "{:.2f}") + "x",
            seconds(fmean(run.ttft_p50 for run in runs)),
            seconds(max(run.worst_ttft_p99 for run in runs)),
            _range([run.peak for run in runs], "{:.0f}"),
            _range([run.actions for run in runs], "{:.0f}"),
            _range([run.reversals for run in runs], "{:.0f}"),
            _range([run.failed for run in runs], "{:.0f}"),
        )
        yield f"| {_bold(row.title)} | " + " | ".join(cells) + " |"


def panels(by_case: Mapping[str, Sequence[Row]]) -> list[Panel]:
    """The figure's."""
    return [
        Panel(CASES[case].title, [Point(row.title, row.kind, row.cost, row.in_slo) for row in of_case])
        for case, of_case in by_case.items()
    ]


def seconds(value: float) -> str:
    """A time as people write it; infinite is one that never came."""
    if math.isinf(value):
        return "never"
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


def _order(name: str, *, tuned: bool) -> tuple[int, str, bool]:
    if name.startswith(OURS):
        return 0, name, tuned
    if name in BOUNDS:
        return 1, str(BOUNDS.index(name)), tuned
    return (2 if name in STATIC else 3), name, tuned


def _bold(name: str) -> str:
    return f"**{name}**" if name == OURS else name


def _cell(row: Row) -> str:
    good = row.in_slo >= GOOD_SHARE and row.cost <= GOOD_COST and row.kind != "bound"
    words = f"{100 * row.in_slo:.1f} % · {row.cost:.2f}x"
    return f"**{words}**" if good else words


def _range(values: Sequence[float], form: str) -> str:
    """The mean, and the lowest and the highest where they differ."""
    middle, low, high = (form.format(value) for value in (fmean(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low}-{high})"
