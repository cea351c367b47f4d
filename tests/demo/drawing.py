"""A dashboard's file and its data as one SVG picture: a drawing of our own with Grafana's layout, not Grafana's. Pure.

Panels stand where the file puts them; lines, large numbers and tables are drawn from what the queries gave.
"""

import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMN, UNIT, GAP = 50, 24, 6
"""Pixels of a column and of a unit of height of Grafana's grid, and between panels."""
PALETTE = ("#3274d9", "#e0752d", "#56a64b", "#8f3bb8", "#c4162a", "#1f9e9e", "#b8860b", "#777777")
TEXT, FAINT, GRID = "#24292e", "#6a737d", "#e1e4e8"
_WORDS = {"cps": "/s", "suffix: tokens/s": " tokens/s"}
_FACTORS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Line:
    """One series: its name in the legend, its labels, and its points in time; NaN is a gap."""

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """The last number that there is; NaN if there is none."""
        return next((value for _, value in reversed(self.points) if not math.isnan(value)), math.nan)


def legend(template: str, labels: Mapping[str, str]) -> str:
    """A legend with the labels' values in it."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), "" if template == "__auto" else template)


def number(value: float, unit: str) -> str:
    """A value as Grafana would write it, roughly."""
    if math.isnan(value):
        return "unknown"
    if unit == "percentunit":
        return f"{100 * value:.0f} %"
    if unit == "currencyUSD":
        return f"${value:.2f}"
    if unit == "s":
        return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.3g} s"
    short = next((f"{value / factor:.3g} {sign}" for factor, sign in _FACTORS if abs(value) >= factor), f"{value:.3g}")
    return f"{short}{_WORDS.get(unit, '')}"


def picture(dashboard: Mapping[str, Any], data: Mapping[int, Sequence[Line]], *, note: str) -> str:
    """The whole dashboard.

    Args:
        dashboard: the file.
        data: panel's id -> its series.
        note: what stands below the title: that this is a drawing, and of what.
    """
    top = 46
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    size = (24 * COLUMN, top + bottom * UNIT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" font-family="sans-serif">',
        f'<rect width="{size[0]}" height="{size[1]}" fill="#f4f5f5"/>',
        _text(10, 20, dashboard["title"], size=16, weight="bold"),
        _text(10, 37, note, size=11, fill=FAINT),
    ]
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        box = (place["x"] * COLUMN, top + place["y"] * UNIT, place["w"] * COLUMN, place["h"] * UNIT)
        parts += _panel(panel, data.get(panel["id"], ()), box)
    return "\n".join([*parts, "</svg>\n"])


Box = tuple[float, float, float, float]
"""Left, top, width, height."""


def _panel(panel: Mapping[str, Any], lines: Sequence[Line], box: Box) -> Iterator[str]:
    left, top, width, height = box
    if panel["type"] == "row":
        yield _text(left + 10, top + 17, panel["title"], size=13, weight="bold")
        return
    inner = (left + GAP / 2, top + GAP / 2, width - GAP, height - GAP)
    yield f'<rect x="{inner[0]}" y="{inner[1]}" width="{inner[2]}" height="{inner[3]}" fill="#fff" stroke="{GRID}"/>'
    yield _text(inner[0] + 8, inner[1] + 15, panel["title"], size=11, weight="bold")
    draw = {"stat": _stat, "timeseries": _graph, "table": _table}[panel["type"]]
    yield from draw(panel, lines, inner)


def _stat(panel: Mapping[str, Any], lines: Sequence[Line], box: Box) -> Iterator[str]:
    left, top, width, height = box
    defaults = panel["fieldConfig"]["defaults"]
    value = lines[0].last if lines else math.nan
    reached = [step["color"] for step in defaults["thresholds"]["steps"] if (step["value"] or -math.inf) <= value]
    colours = {"text": TEXT, "green": "#37872d", "orange": "#e0752d", "red": "#c4162a"}
    words = number(value, defaults["unit"])
    size = 26 if len(words) < 9 else 18
    yield _text(
        left + width / 2, top + height / 2 + 16, words, size=size, fill=colours[reached[-1] if reached else "text"],
        anchor="middle",
    )  # fmt: skip


def _graph(panel: Mapping[str, Any], lines: Sequence[Line], box: Box) -> Iterator[str]:
    left, top, width, height = box
    defaults = panel["fieldConfig"]["defaults"]
    drawn = list(_stacked(lines)) if defaults["custom"]["stacking"]["mode"] == "normal" else list(lines)
    plot = (left + 58, top + 24, width - 68, height - 62)
    values = [value for line in drawn for _, value in line.points if not math.isnan(value)]
    times = [at for line in drawn for at, _ in line.points]
    if not values:
        yield _text(left + width / 2, top + height / 2, "no data", size=11, fill=FAINT, anchor="middle")
        return
    most = _round_up(max(*values, defaults.get("max", 0.0)) or 1.0)
    for share in (0, 0.5, 1):
        y = plot[1] + plot[3] * (1 - share)
        yield f'<path d="M{plot[0]} {y:.1f}h{plot[2]}" stroke="{GRID}"/>'
        words = number(share * most, defaults["unit"]).removesuffix(_WORDS.get(defaults["unit"], ""))
        yield _text(plot[0] - 5, y + 3, words, size=9, fill=FAINT, anchor="end")
    yield from (_path(line, place, plot, (min(times), max(times), most)) for place, line in enumerate(drawn))
    yield from _names(lines, defaults["unit"], (left + 8, top + height - 24, width - 16, 20))


def _path(line: Line, place: int, plot: Box, scale: tuple[float, float, float]) -> str:
    """A line in its colour; a number that is not there ends a piece of it."""
    left, top, width, height = plot
    first, last, most = scale
    steps, is_drawing = [], False
    for at, value in line.points:
        if math.isnan(value):
            is_drawing = False
            continue
        x, y = left + width * (at - first) / max(last - first, 1e-9), top + height * (1 - max(value, 0) / most)
        steps.append(f"{'L' if is_drawing else 'M'}{x:.0f} {y:.1f}")
        is_drawing = True
    return f'<path d="{"".join(steps)}" fill="none" stroke="{PALETTE[place % len(PALETTE)]}" stroke-width="1.4"/>'


def _names(lines: Sequence[Line], unit: str, box: Box) -> Iterator[str]:
    """Legend: colour, name, last value; what does not fit is counted."""
    left, top, width, height = box
    x, y = left, top
    for place, line in enumerate(lines):
        words = f"{line.name} {number(line.last, unit)}" if not math.isnan(line.last) else line.name
        needed = 18 + 5.6 * len(words)
        if x + needed > left + width - (60 if y > top else 0):  # room for the count
            x, y = left, y + 12
        if y > top + height:
            yield _text(left + width, y - 12, f"and {len(lines) - place} more", size=9, fill=FAINT, anchor="end")
            return
        yield f'<rect x="{x:.0f}" y="{y - 7:.0f}" width="8" height="8" fill="{PALETTE[place % len(PALETTE)]}"/>'
        yield _text(x + 11, y, words, size=9)
        x += needed


def _table(panel: Mapping[str, Any], lines: Sequence[Line], box: Box) -> Iterator[str]:
    left, top, width, _ = box
    overrides = panel["fieldConfig"]["overrides"]
    columns = [one["matcher"]["options"] for one in overrides]
    for row, cells in enumerate([[one["properties"][0]["value"] for one in overrides], *_rows(lines, columns)]):
        for column, cell in enumerate(cells):
            x, y = left + 10 + column * (width - 20) / len(columns), top + 36 + 17 * row
            yield _text(x, y, cell, size=10, weight="bold" if not row else "normal")


def _rows(lines: Sequence[Line], columns: Sequence[str]) -> list[list[str]]:
    return [[line.labels.get(column, "") for column in columns] for line in lines]


def _stacked(lines: Iterable[Line]) -> Iterator[Line]:
    """Each line on top of those before it."""
    below: dict[float, float] = {}
    for line in lines:
        points = [(at, below.get(at, 0.0) + value) for at, value in line.points]
        below |= {at: value for at, value in points if not math.isnan(value)}
        yield Line(line.name, line.labels, tuple(points))


def _round_up(value: float) -> float:
    """The next number that begins with 1, 2 or 5."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= value * 0.999)


def _text(
    x: float, y: float, words: str, *, size: int, fill: str = TEXT, weight: str = "normal", anchor: str = "start"
) -> str:
    style = f'font-size="{size}" fill="{fill}"'
    style += f' font-weight="{weight}"' if weight != "normal" else ""
    style += f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{html.escape(words)}</text>'
