"""A run as a picture: replicas, KV-cache usage, queue and time to first token over time, one above the other.

Needs matplotlib, which the extra `sim` brings; it is imported only here and only when a picture is asked for.
"""

from bisect import bisect_left
from collections.abc import Mapping
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
    replicas, kv, queue, ttft = figure.subplots(4, 1, sharex=True)
    longest = max((outcome.span for outcome in outcomes.values()), default=0.0)
    unit, name = (DAY, "days") if longest > 2 * DAY else (HOUR, "hours") if longest > 2 * HOUR else (60.0, "minutes")
    for (rule, outcome), color in zip(outcomes.items(), COLORS * len(outcomes), strict=False):
        at = [sample.at / unit for sample in outcome.samples]
        changes = [change for change in outcome.changes if change.at <= outcome.span]
        times = [*(change.at / unit for change in changes), outcome.span / unit]
        counts = [change.ready for change in changes]
        replicas.step(times, [*counts, counts[-1]], where="post", color=color, label=rule, linewidth=1.3)
        paid = [change.pods for change in changes]
        replicas.step(times, [*paid, paid[-1]], where="post", color=color, linewidth=0.8, linestyle=":")
        kv.plot(at, [sample.kv_mean for sample in outcome.samples], color=color, linewidth=0.9)
        queue.plot(at, [sample.waiting for sample in outcome.samples], color=color, linewidth=0.9)
        starts, values = ttft_p99(outcome)
        ttft.step([start / unit for start in starts], values, where="post", color=color, linewidth=0.9)
    ttft.axhline(slo.ttft, color="grey", linewidth=0.8, linestyle="--")
    replicas.set(title=title, ylabel="replicas: ready\n(dotted: paid)")
    replicas.set_ylim(bottom=0)
    replicas.legend(loc="upper left", fontsize="small", ncols=4)
    kv.set(ylabel="KV-cache usage", ylim=(0, 1.02))
    queue.set(ylabel="waiting requests")
    queue.set_yscale("symlog", linthresh=10)
    queue.set_ylim(bottom=0)
    ttft.set(ylabel="TTFT p99, s\n(dashed: objective)", xlabel=name)
    ttft.set_yscale("log")
    for axes in (replicas, kv, queue, ttft):
        axes.grid(visible=True, linewidth=0.3)
        axes.margins(x=0.01)
    figure.savefig(path)


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
