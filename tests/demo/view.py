"""How the demo looks in a terminal: a live table, and a summary."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tests.demo.model import Fleet, Summary

_BARS = " ▁▂▃▄▅▆▇█"
_WIDTH = 48


def spark(samples: list[int], top: int) -> str:
    """The replicas over time, one character for each of `_WIDTH` equal parts."""
    if not samples:
        return ""
    step = max(1, -(-len(samples) // _WIDTH))
    parts = [max(samples[i : i + step]) for i in range(0, len(samples), step)]
    return "".join(_BARS[min(8, round(8 * part / max(1, top)))] for part in parts)


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def table(fleets: list[Fleet], *, second: float, total: float) -> RenderableType:
    """The state of every fleet."""
    grid = Table(title=f"second {second:3.0f} of {total:.0f}", title_justify="left", expand=True)
    for name in ("model", "ready/wanted", "KV", "running", "waiting", "TTFT p50", "requests", "errors"):
        grid.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for fleet in fleets:
        grid.add_row(
            fleet.name,
            f"{fleet.ready}/{fleet.wanted}",
            _figure(fleet.kv, "{:.0%}"),
            _figure(fleet.running, "{:.0f}"),
            _figure(fleet.waiting, "{:.0f}"),
            _figure(fleet.ttft_p50, "{:.2f} s"),
            f"{fleet.done}/{fleet.sent}",
            Text(str(fleet.errors), style="red" if fleet.errors else ""),
        )
    top = max((fleet.peak for fleet in fleets), default=1)
    lines = [Text(f"{fleet.name:14} replicas {spark(fleet.samples, top)}", style="cyan") for fleet in fleets]
    words = [Text(f"{fleet.name:14} {fleet.reason}: {fleet.decision}") for fleet in fleets if fleet.reason]
    return Group(grid, *lines, *words)


def line(fleets: list[Fleet], *, second: float) -> str:
    """The same in one line, for output that is not a terminal."""
    parts = [
        f"{f.name} {f.ready}/{f.wanted} ready, KV {_figure(f.kv, '{:.0%}')}, {_figure(f.running, '{:.0f}')} running, "
        f"{_figure(f.waiting, '{:.0f}')} waiting, TTFT {_figure(f.ttft_p50, '{:.2f} s')}, {f.errors} errors"
        for f in fleets
    ]
    return f"{second:5.0f} s  " + "  |  ".join(parts)


def summary(result: Summary) -> RenderableType:
    """The figures at the end."""
    saved = 1 - result.replica_seconds / result.static_peak_seconds if result.static_peak_seconds else 0.0
    rows = [
        ("requests", f"{result.requests}, {len(result.errors)} failed, {result.tokens} tokens generated"),
        ("TTFT", f"p50 {_figure(result.ttft_p50, '{:.2f} s')}, p99 {_figure(result.ttft_p99, '{:.2f} s')}"),
        (
            "replica-seconds",
            (
                f"{result.replica_seconds:.0f}, {saved:.0%} less than {result.static_peak_seconds:.0f} "
                f"for the peak all the time ({result.seconds:.0f} s)"
            ),
        ),
        ("decisions", str(len(result.decisions))),
    ]
    grid = Table.grid(padding=(0, 2))
    for name, words in rows:
        grid.add_row(name, words)
    errors = [Text(f"failed: {error}", style="red") for error in sorted(set(result.errors))[:10]]
    return Panel(Group(grid, *(Text(decision) for decision in result.decisions), *errors), title="summary")
