"""A run as a picture: replicas, KV-cache usage, queue and time to first token over time, one above the other.

Needs matplotlib, which the extra `sim` brings; it is imported only here and only when a picture is asked for.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from math import isnan
from pathlib import Path

from llmfleet.sim.outcome import Outcome, Slo

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by colour-blind eyes too (Okabe and Ito)."""
HOUR, DAY = 3600.0, 86_400.0
WINDOWS = 120
"""Pieces of time for which the TTFT is drawn."""


def is_possible() -> bool:
    """Whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def draw(outcomes: Mapping[str, Outcome], path: Path, *, slo: Slo, title: str) -> None:
    """Write a picture; the ending of `path` names the format (svg, png, pdf)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - see above
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(4, 1, sharex=True)
    unit, name = _unit(max((outcome.span for outcome in outcomes.values()), default=0.0))
    for place, (rule, outcome) in enumerate(outcomes.items()):
        look = {"color": COLORS[place % len(COLORS)], "zorder": 3 + len(outcomes) - place}
        for one, (x, y, more) in zip(axes, _curves(outcome, unit), strict=True):
            one.step(x, y, where="post", linewidth=1.2, label=rule, **look)
            for z in more:
                one.step(x, z, where="post", linewidth=0.8, linestyle=":", **look)
    replicas, kv, queue, ttft = axes
    ttft.axhline(slo.ttft, color="grey", linewidth=0.8, linestyle="--")
    replicas.set(ylabel="replicas: ready\n(dotted: paid)")
    replicas.set_ylim(bottom=0)
    kv.set(ylabel="KV-cache usage", ylim=(0, 1.02))
    queue.set(ylabel="waiting requests")
    queue.set_yscale("symlog", linthresh=10)
    queue.set_ylim(bottom=0)
    ttft.set(ylabel="TTFT p99, s\n(dashed: objective)", xlabel=name)
    ttft.set_yscale("log")
    ttft.yaxis.set_major_formatter("{x:g}")
    for one in axes:
        one.grid(visible=True, linewidth=0.3)
        one.margins(x=0.01)
    figure.suptitle(title)
    figure.legend(*replicas.get_legend_handles_labels(), loc="outside lower center", fontsize="small", ncols=6)
    figure.savefig(path)


def _unit(longest: float) -> tuple[float, str]:
    """The unit of the time axis, in seconds, and its name."""
    if longest > 2 * DAY:
        return DAY, "days"
    return (HOUR, "hours") if longest > 2 * HOUR else (60.0, "minutes")


Curve = tuple[list[float], Sequence[float], list[Sequence[float]]]
"""Times, the values, and other values for dotted lines."""


def _curves(outcome: Outcome, unit: float) -> tuple[Curve, Curve, Curve, Curve]:
    changes = [change for change in outcome.changes if change.at <= outcome.span]
    changes.append(replace(changes[-1], at=outcome.span))
    times, samples = [change.at / unit for change in changes], outcome.samples
    at = [sample.at / unit for sample in samples]
    starts, slow = ttft_p99(outcome)
    return (
        (times, [change.ready for change in changes], [[change.pods for change in changes]]),
        (at, [sample.kv_mean for sample in samples], []),
        (at, [sample.waiting for sample in samples], []),
        ([start / unit for start in starts], slow, []),
    )


def ttft_p99(outcome: Outcome, pieces: int = WINDOWS) -> tuple[list[float], list[float]]:
    """When each piece of the trace began and the p99 of its requests' times to first token; empty ones are left out."""
    starts, values = [], []
    for piece in range(pieces):
        start, end = (outcome.span * edge / pieces for edge in (piece, piece + 1))
        first, last = bisect_left(outcome.arrived, start), bisect_left(outcome.arrived, end)
        found = sorted(value for value in outcome.ttft[first:last] if not isnan(value))
        if found:
            starts.append(start)
            values.append(found[int(0.99 * len(found))])
    return starts, values
