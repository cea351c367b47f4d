"""The drawing of a dashboard: every panel is there, and numbers are written as people read them."""

import json
import math
from xml.etree import ElementTree as ET

import pytest

from tests.chart.chart import CHART
from tests.demo.drawing import Line, legend, number, picture

DASHBOARD = json.loads((CHART / "files" / "dashboards" / "model.json").read_text())
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}


def words(svg: str) -> list[str]:
    root = ET.fromstring(svg)  # noqa: S314 - written by ourselves
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.613, "percentunit", "61 %"),
        (0.0314, "s", "31 ms"),
        (12.345, "s", "12.3 s"),
        (3, "currencyUSD", "$3.00"),
        (4, "short", "4"),
        (12345, "suffix: tokens/s", "12.3 k tokens/s"),
        (0.5, "cps", "0.5/s"),
        (math.nan, "short", "unknown"),
    ],
)
def test_numbers(value: float, unit: str, expected: str) -> None:
    assert number(value, unit) == expected


def test_a_legend_has_its_labels_in_it() -> None:
    assert legend("{{held}}: {{reason}}", {"held": "start", "reason": "DiskFull"}) == "start: DiskFull"
    assert legend("__auto", {"pod": "a"}) == ""


def test_every_panel_is_drawn_also_without_data() -> None:
    said = words(picture(DASHBOARD, {}, note="a note"))
    assert {"a note", DASHBOARD["title"], *PANELS} <= set(said)
    assert "no data" in said
    assert "unknown" in said


def test_lines_numbers_and_tables_show_what_was_given() -> None:
    data = {
        PANELS["GPUs"]["id"]: [Line("", {}, ((0.0, 2.0), (2.0, 4.0), (4.0, math.nan)))],
        PANELS["Requests"]["id"]: [Line("running", {}, ((0.0, 1.0), (2.0, 7.0))), Line("waiting", {}, ((0.0, 0.0),))],
        PANELS["Conditions"]["id"]: [
            Line("", {"type": "Ready", "status": "True", "reason": "Available"}, ((0.0, 1.0),))
        ],
    }
    svg = picture(DASHBOARD, data, note="")
    assert {"4", "running 7", "waiting 0", "Ready", "Available"} <= set(words(svg))
    assert svg.count('stroke-width="1.4"') == 2


def test_stacked_lines_stand_on_one_another() -> None:
    """The axis ends above their sum."""
    tokens = next(one for one in DASHBOARD["panels"] if one["title"] == "Tokens" and one["type"] == "timeseries")
    lines = [Line(name, {}, ((0.0, 300.0), (2.0, 300.0))) for name in ("prompt", "generation")]
    assert "1 k" in words(picture(DASHBOARD, {tokens["id"]: lines}, note=""))
