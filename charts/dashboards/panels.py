"""What a dashboard is made of: rows of panels, each with its queries. Pure data; grafana.py spells it for Grafana."""

from dataclasses import dataclass, field
from typing import Literal

PERCENT, COUNT, SECONDS, DOLLARS = "percentunit", "short", "s", "currencyUSD"
TOKENS_PER_SECOND, PER_SECOND, BYTES = "suffix: tokens/s", "cps", "bytes"
"""Units by Grafana's names."""


@dataclass(frozen=True)
class Query:
    """One PromQL expression of a panel; the legend is a template over its labels."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture."""

    title: str
    text: str
    """What it shows and what to make of it; Grafana shows it behind the title."""
    queries: tuple[Query, ...]
    kind: Literal["stat", "timeseries", "table"] = "timeseries"
    unit: str = COUNT
    width: int = 8
    limits: tuple[float | None, float | None] = (0, None)
    """Ends of the axis; None: by the data."""
    steps: tuple[tuple[float, str], ...] = ()
    """(value, colour) from which a stat has that colour."""
    decimals: int | None = None
    stacked: bool = False
    columns: tuple[tuple[str, str, str], ...] = ()
    """Of a table: (field, heading, unit), in order; other fields are hidden."""
    link: str = ""
    """Of a table: where a click on its column `name` leads."""


def stat(
    title: str,
    text: str,
    *queries: Query,
    unit: str = COUNT,
    width: int = 3,
    limits: tuple[float | None, float | None] = (0, None),
    steps: tuple[tuple[float, str], ...] = (),
    decimals: int | None = None,
) -> Panel:
    """One large number for each series."""
    return Panel(
        kind="stat",
        title=title,
        text=text,
        queries=queries,
        unit=unit,
        width=width,
        limits=limits,
        steps=steps,
        decimals=decimals,
    )


def graph(
    title: str,
    text: str,
    *queries: Query,
    unit: str = COUNT,
    width: int = 8,
    limits: tuple[float | None, float | None] = (0, None),
    stacked: bool = False,
) -> Panel:
    """Lines over time."""
    return Panel(title=title, text=text, queries=queries, unit=unit, width=width, limits=limits, stacked=stacked)


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A choice above the panels: the values of a label."""

    name: str
    label: str
    query: str
    several: bool = False


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """One file."""

    uid: str
    title: str
    text: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    links: tuple[tuple[str, str], ...] = field(default=())
    """(title, URL) of related dashboards."""

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)
