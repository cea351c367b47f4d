"""Cost against requests in SLO, a panel for each trace, as one SVG picture. Pure.

The scale of the vertical axis is in nines, so that 98, 99 and 99.9 % are apart; what lies past a panel's edge is drawn
on the edge.
"""

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, COLUMNS = 420, 330, 2
"""Pixels of a panel, and panels in a row."""
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 46, 44
"""Margins of a panel, in pixels."""
LEAST, MOST = 0.5, 4.0
"""Cost at the edges of a panel, in multiples of the offline optimum."""
SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
BEST = 0.9999
"""The share at the upper edge."""
COLOURS = {"ours": "#c4162a", "peer": "#3274d9", "tuned": "#3274d9", "bound": "#56a64b", "static": "#777777"}
LEGEND = (
    ("ours", "llmfleet"),
    ("peer", "other autoscaler, as shipped"),
    ("tuned", "the same, tuned on a training slice"),
    ("bound", "oracle"),
    ("static", "fixed number of replicas"),
)


@dataclass(frozen=True)
class Point:
    """One autoscaler on one trace."""

    name: str
    kind: str
    """A key of COLOURS."""
    cost: float
    in_slo: float


@dataclass(frozen=True)
class Panel:
    """One trace."""

    title: str
    points: Sequence[Point]


def picture(panels: Sequence[Panel], *, note: str) -> str:
    """The whole figure; `note` stands at its foot."""
    rows = math.ceil(len(panels) / COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT + 48
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for index, panel in enumerate(panels):
        parts.append(f'<g transform="translate({index % COLUMNS * WIDTH},{index // COLUMNS * HEIGHT})">')
        parts += _panel(panel)
        parts.append("</g>")
    parts += _legend(rows * HEIGHT + 16)
    parts.append(_text(10, rows * HEIGHT + 40, note, fill="#6a737d"))
    return "\n".join([*parts, "</svg>\n"])


def _x(cost: float) -> float:
    share = math.log(min(max(cost, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _nines(share: float) -> float:
    return -math.log10(1 - min(max(share, SHARES[0]), BEST))


def _y(share: float) -> float:
    low, high = _nines(SHARES[0]), _nines(BEST)
    return HEIGHT - BOTTOM - (_nines(share) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def _panel(panel: Panel) -> Iterator[str]:
    yield _text(LEFT, 18, panel.title, size=13, weight="bold")
    for cost in (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0):
        yield _line((_x(cost), TOP), (_x(cost), HEIGHT - BOTTOM))
        yield _text(_x(cost), HEIGHT - BOTTOM + 16, f"{cost:g}x", anchor="middle", fill="#6a737d")
    for share in SHARES:
        yield _line((LEFT, _y(share)), (WIDTH - RIGHT, _y(share)))
        yield _text(LEFT - 6, _y(share) + 4, f"{100 * share:g} %", anchor="end", fill="#6a737d")
    goal = (_x(LEAST), TOP, _x(1.25) - _x(LEAST), _y(0.99) - TOP)
    yield '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="#56a64b" opacity="0.08"/>'.format(*goal)
    yield _text(
        (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "GPU-hours, offline optimum = 1x", anchor="middle", fill="#6a737d"
    )
    for point in sorted(panel.points, key=lambda point: point.kind == "ours"):
        yield _mark(_x(point.cost), _y(point.in_slo), point.kind, point.name)
    yield from _labels(panel.points)


def _mark(x: float, y: float, kind: str, name: str) -> str:
    colour = COLOURS[kind]
    fill = colour if kind != "peer" else "#ffffff"
    title = f"<title>{html.escape(name)}</title>"
    if kind == "bound":
        corners = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
        return f'<polygon points="{corners}" fill="{fill}">{title}</polygon>'
    if kind == "static":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{fill}">{title}</rect>'
    radius = 6 if kind == "ours" else 4
    circle = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" stroke="{colour}"'
    return f"<circle {circle}>{title}</circle>"


def _labels(points: Iterable[Point]) -> Iterator[str]:
    """Names beside the marks, ours first; a name that would lie on another one is left to the table."""
    points = list(points)
    marks = [(_x(point.cost), _y(point.in_slo)) for point in points]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in marks]
    for point in sorted(points, key=lambda point: (point.kind != "ours", point.kind != "bound", -point.in_slo)):
        width = 6.0 * len(point.name)
        for x, y in _places(_x(point.cost), _y(point.in_slo), width):
            box = (x, y - 9, x + width, y + 2)
            if (
                box[0] < LEFT
                or box[2] > WIDTH - 2
                or y > HEIGHT - BOTTOM + 4
                or any(_overlap(box, other) for other in taken)
            ):
                continue
            taken.append(box)
            yield _text(x, y, point.name, fill=COLOURS[point.kind])
            break


def _places(x: float, y: float, width: float) -> Iterator[tuple[float, float]]:
    yield x + 8, y + 4
    yield x - 8 - width, y + 4
    yield x - width / 2, y - 9
    yield x - width / 2, y + 17
    yield x + 6, y - 9
    yield x - 6 - width, y - 9


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _legend(y: float) -> Iterator[str]:
    x = 16.0
    for kind, name in LEGEND:
        yield _mark(x, y, kind, name)
        yield _text(x + 10, y + 4, name)
        x += 30 + 6.2 * len(name)


def _line(one: tuple[float, float], other: tuple[float, float]) -> str:
    return f'<path d="M{one[0]:.1f} {one[1]:.1f}L{other[0]:.1f} {other[1]:.1f}" stroke="#e1e4e8"/>'


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 11,
    weight: str = "normal",
    anchor: str = "start",
    fill: str = "#24292e",
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    style = f'font-size="{size}" font-weight="{weight}" fill="{fill}"'
    return f"<text {place} {style}>{html.escape(words)}</text>"
