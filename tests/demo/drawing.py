"""A dashboard's file and its data as one SVG picture: a drawing of our own with Grafana's layout, not Grafana's. Pure.

Panels stand where the file puts them; lines, large numbers and tables are drawn from what the queries gave. All graphs
have one time axis; what is stacked is filled, and without the series that are zero throughout.
"""

import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

COLUMN, UNIT, GAP = 50, 24, 6
"""Pixels of a column and of a unit of height of Grafana's grid, and between panels."""
PALETTE = ("#3274d9", "#e0752d", "#56a64b", "#8f3bb8", "#c4162a", "#1f9e9e", "#b8860b", "#777777", "#e377c2", "#4b3832")
TEXT, FAINT, GRID = "#24292e", "#6a737d", "#e1e4e8"
_TICK = 30
"""Seconds between two marks of the time axis."""
_WORDS = {"cps": "/s", "suffix: tokens/s": " tokens/s"}
_FACTORS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


Points = tuple[tuple[float, float], ...]
"""Time and value of each."""


@dataclass(frozen=True)
class Line:
    """One series: its name in the legend, its labels, and its points in time; NaN is a gap."""

    name: str
    labels: Mapping[str, str]
    points: Points

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
    times = [at for lines in data.values() for line in lines for at, _ in line.points] or [0.0]
    span = (min(times), max(times))
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        box = (place["x"] * COLUMN, top + place["y"] * UNIT, place["w"] * COLUMN, place["h"] * UNIT)
        parts += _panel(panel, data.get(panel["id"], ()), box, span)
    return "\n".join([*parts, "</svg>\n"])


Box = tuple[float, float, float, float]
"""Left, top, width, height."""
Span = tuple[float, float]
"""Begin and end of the whole picture."""


def _panel(panel: Mapping[str, Any], lines: Sequence[Line], box: Box, span: Span) -> Iterator[str]:
    left, top, width, height = box
    if panel["type"] == "row":
        yield _text(left + 10, top + 17, panel["title"], size=13, weight="bold")
        return
    inner = (left + GAP / 2, top + GAP / 2, width - GAP, height - GAP)
    yield f'<rect x="{inner[0]}" y="{inner[1]}" width="{inner[2]}" height="{inner[3]}" fill="#fff" stroke="{GRID}"/>'
    yield _text(inner[0] + 8, inner[1] + 15, panel["title"], size=11, weight="bold")
    draw: Mapping[str, Any] = {"stat": _stat, "timeseries": partial(_graph, span=span), "table": _table}
    yield from draw[panel["type"]](panel, lines, inner)


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


def _graph(panel: Mapping[str, Any], lines: Sequence[Line], box: Box, *, span: Span) -> Iterator[str]:
    left, top, width, height = box
    defaults = panel["fieldConfig"]["defaults"]
    is_stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    shown = _short_names(_that_count(lines) if is_stacked else lines)
    floors, drawn = _stacked(shown) if is_stacked else ((), shown)
    plot = (left + 58, top + 24, width - 68, height - 74)
    values = [value for line in drawn for _, value in line.points if not math.isnan(value)]
    if not values:
        yield _text(left + width / 2, top + height / 2, "no data", size=11, fill=FAINT, anchor="middle")
        return
    most = _round_up(max(*values, defaults.get("max", 0.0)) or 1.0)
    yield from _axes(defaults["unit"], plot, span, most)
    yield from (_area(*both, place, plot, (*span, most)) for place, both in enumerate(zip(floors, drawn, strict=False)))
    yield from (_path(line, place, plot, (*span, most)) for place, line in enumerate(drawn))
    yield from _names(shown, defaults["unit"], (left + 8, top + height - 22, width - 16, 20))


def _that_count(lines: Sequence[Line]) -> Sequence[Line]:
    """Those that are not zero throughout; all, if none is."""
    return [line for line in lines if any(value > 0 for _, value in line.points)] or lines


def _short_names(lines: Sequence[Line]) -> Sequence[Line]:
    """Pods by the end of their name: the rest is the same of all of them."""
    return [
        replace(line, name=line.name.rpartition("-")[2]) if line.name == line.labels.get("pod") else line
        for line in lines
    ]


def _axes(unit: str, plot: Box, span: Span, most: float) -> Iterator[str]:
    """Three values on the left, and minutes since the begin below."""
    left, top, width, height = plot
    for share in (0, 0.5, 1):
        y = top + height * (1 - share)
        yield f'<path d="M{left} {y:.1f}h{width}" stroke="{GRID}"/>'
        words = number(share * most, unit).removesuffix(_WORDS.get(unit, ""))
        yield _text(left - 5, y + 3, words, size=9, fill=FAINT, anchor="end")
    for seconds in range(0, int(span[1] - span[0]) + 1, _TICK):
        x = left + width * seconds / max(span[1] - span[0], 1e-9)
        yield f'<path d="M{x:.1f} {top + height:.1f}v3" stroke="{FAINT}"/>'
        yield _text(x, top + height + 12, f"{seconds // 60}:{seconds % 60:02}", size=9, fill=FAINT, anchor="middle")


def _path(line: Line, place: int, plot: Box, scale: tuple[float, float, float]) -> str:
    """A line in its colour; a number that is not there ends a piece of it."""
    steps, is_drawing = [], False
    for at, value in line.points:
        if math.isnan(value):
            is_drawing = False
            continue
        steps.append(f"{'L' if is_drawing else 'M'}{_point(at, value, plot, scale)}")
        is_drawing = True
    return f'<path d="{"".join(steps)}" fill="none" stroke="{_colour(place)}" stroke-width="1.4"/>'


def _area(floor: Points, line: Line, place: int, plot: Box, scale: tuple[float, float, float]) -> str:
    """What a line adds to those below it, filled."""
    known = [(at, value) for at, value in line.points if not math.isnan(value)]
    corners = " ".join(_point(at, value, plot, scale) for at, value in (*known, *reversed(floor)))
    return f'<polygon points="{corners}" fill="{_colour(place)}" fill-opacity="0.25"/>'


def _point(at: float, value: float, plot: Box, scale: tuple[float, float, float]) -> str:
    left, top, width, height = plot
    first, last, most = scale
    x, y = left + width * (at - first) / max(last - first, 1e-9), top + height * (1 - max(value, 0) / most)
    return f"{x:.0f} {y:.1f}"


def _colour(place: int) -> str:
    return PALETTE[place % len(PALETTE)]


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
        yield f'<rect x="{x:.0f}" y="{y - 7:.0f}" width="8" height="8" fill="{_colour(place)}"/>'
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


def _stacked(lines: Iterable[Line]) -> tuple[Sequence[Points], Sequence[Line]]:
    """Each line on top of those before it, and what is below each."""
    below: dict[float, float] = {}
    floors, drawn = [], []
    for line in lines:
        floors.append(tuple((at, below.get(at, 0.0)) for at, value in line.points if not math.isnan(value)))
        drawn.append(replace(line, points=tuple((at, below.get(at, 0.0) + value) for at, value in line.points)))
        below |= {at: value for at, value in drawn[-1].points if not math.isnan(value)}
    return floors, drawn


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
