"""The dashboards: what Grafana wants of the file, and that every query is PromQL on series that there are."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.chart.chart import CHART
from tests.chart.observability import check_expressions, unknown

FILES = {path.stem: json.loads(path.read_text()) for path in sorted((CHART / "files" / "dashboards").glob("*.json"))}
DASHBOARDS = pytest.mark.parametrize("name", FILES)
OLD_NAMES = ("vllm:gpu_cache_usage_perc", "vllm:time_per_output_token_seconds_bucket")
"""Of releases that are still about, whose new names are asked for in the same query."""


def panels(name: str) -> list[dict[str, Any]]:
    """All panels but the rows' headings."""
    return [panel for panel in FILES[name]["panels"] if panel["type"] != "row"]


def queries(name: str) -> list[str]:
    return [target["expr"] for panel in panels(name) for target in panel["targets"]]


def test_there_are_two() -> None:
    assert {name: content["uid"] for name, content in FILES.items()} == {
        "fleet": "llmfleet-fleet",
        "model": "llmfleet-model",
    }


@DASHBOARDS
def test_panels_do_not_overlap_and_stay_within_the_grid(name: str) -> None:
    places = [panel["gridPos"] for panel in FILES[name]["panels"]]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in itertools.combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


@DASHBOARDS
def test_each_panel_has_a_number_a_title_words_a_unit_and_the_chosen_source(name: str) -> None:
    numbers = [panel["id"] for panel in FILES[name]["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


@DASHBOARDS
def test_a_graph_names_its_lines(name: str) -> None:
    """By words, or by labels that the query leaves."""
    for panel in panels(name):
        for target in panel["targets"]:
            legend = target["legendFormat"]
            if panel["type"] == "timeseries":
                assert legend != "__auto", panel["title"]
            for label in re.findall(r"\{\{(\w+)\}\}", legend):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), (panel["title"], label)


@DASHBOARDS
def test_a_table_shows_columns_that_there_are(name: str) -> None:
    for panel in panels(name):
        if panel["type"] != "table":
            continue
        shown = panel["transformations"][1]["options"]["includeByName"]
        labels = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", str(panel["targets"])))))
        values = {f"Value #{target['refId']}" for target in panel["targets"]}
        assert set(shown) <= labels | values


@DASHBOARDS
def test_variables_are_the_source_the_namespace_and_the_model(name: str) -> None:
    variables = {one["name"]: one for one in FILES[name]["templating"]["list"]}
    assert list(variables) == ["datasource", "namespace", "deployment"]
    assert variables["datasource"]["type"] == "datasource"
    for one in ("namespace", "deployment"):
        metric = re.search(r"label_values\((\w+)", variables[one]["definition"])
        assert metric
        assert list(unknown(metric[1])) == []
    used = {found for query in queries(name) for found in re.findall(r"\$(\w+)", query)}
    assert used - {"__rate_interval"} == {"namespace", "deployment"}


@DASHBOARDS
def test_every_query_is_promql(name: str, tmp_path: Path) -> None:
    check_expressions([query.replace("$__rate_interval", "1m") for query in queries(name)], tmp_path)


@DASHBOARDS
def test_every_series_that_is_asked_for_is_one_that_somebody_has(name: str) -> None:
    assert [finding for query in queries(name) for finding in unknown(query)] == []


def test_engines_of_both_names_are_seen() -> None:
    for old in OLD_NAMES:
        found = [query for query in queries("model") if old in query]
        assert found
        assert all(" or " in query for query in found)


def test_the_fleet_rests_on_the_operator_alone() -> None:
    """So it works before anybody scrapes the engines."""
    assert [query for query in queries("fleet") if "vllm:" in query] == []


@DASHBOARDS
def test_grafanas_own_model_takes_every_field(name: str) -> None:
    """Nothing is lost on the way through it but what Grafana's editor alone reads."""
    understood = json.loads(JSONEncoder().encode(Dashboard.from_json(FILES[name])))
    lost = set(differences(FILES[name], understood))
    assert lost == {f".templating.list[{number}].definition" for number in (1, 2)}


def differences(given: Any, understood: Any, path: str = "") -> Iterator[str]:
    """Where something of the one is not in the other."""
    if isinstance(given, dict):
        for key, value in given.items():
            if isinstance(understood, dict) and key in understood:
                yield from differences(value, understood[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(given, list):
        if not isinstance(understood, list) or len(given) != len(understood):
            yield path
            return
        for number, pair in enumerate(zip(given, understood, strict=True)):
            yield from differences(*pair, f"{path}[{number}]")
    elif given != understood:
        yield path
