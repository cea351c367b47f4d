"""The drawing of a dashboard: every panel is there, and numbers are written as people read them."""

import json
import math
import re
from xml.etree import ElementTree as ET

import pytest

from tests.chart.chart import CHART
from tests.demo.drawing import Line, legend, number, picture

DASHBOARD = json.loads((CHART / "files" / "dashboards" / "model.json").read_text())
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
"""By title; no two of the dashboard have the same."""


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
    """The axis ends above their sum, each fills what it adds, and what is zero throughout is left out."""
    lines = [Line(name, {}, ((0.0, 300.0), (2.0, 300.0))) for name in ("prompt", "generation")]
    nothing = Line("nothing", {}, ((0.0, 0.0), (2.0, 0.0)))
    svg = picture(DASHBOARD, {PANELS["Tokens"]["id"]: [*lines, nothing]}, note="")
    assert {"1 k", "prompt 300 tokens/s"} <= set(words(svg))
    assert not any(word.startswith("nothing") for word in words(svg))
    first, second = re.findall(r'<polygon points="([^"]*)"', svg)
    assert set(first.split()[1::2]) & set(second.split()[1::2]), "the second stands on the first"
    assert svg.count('stroke-width="1.4"') == 2


def test_a_line_that_is_zero_is_drawn_where_nothing_is_stacked() -> None:
    svg = picture(DASHBOARD, {PANELS["Requests"]["id"]: [Line("waiting", {}, ((0.0, 0.0), (2.0, 0.0)))]}, note="")
    assert "waiting 0" in words(svg)


def test_all_graphs_have_one_axis_of_time() -> None:
    """In minutes and seconds since the begin, also where a panel's own series begin later."""
    data = {
        PANELS["Requests"]["id"]: [Line("running", {}, ((100.0, 1.0), (190.0, 1.0)))],
        PANELS["Replicas"]["id"]: [Line("ready", {}, ((130.0, 1.0), (190.0, 1.0)))],
    }
    marks = [word for word in words(picture(DASHBOARD, data, note="")) if re.fullmatch(r"\d:\d\d", word)]
    assert marks == 2 * ["0:00", "0:30", "1:00", "1:30"]


def test_pods_are_called_by_the_end_of_their_name() -> None:
    pods = [Line(f"chat-5c4f-{end}", {"pod": f"chat-5c4f-{end}"}, ((0.0, 0.5),)) for end in ("abcde", "vwxyz")]
    mean = Line("mean", {}, ((0.0, 0.5),))
    said = words(picture(DASHBOARD, {PANELS["KV-cache usage against its target"]["id"]: [mean, *pods]}, note=""))
    assert {"mean 50 %", "abcde 50 %", "vwxyz 50 %"} <= set(said)
