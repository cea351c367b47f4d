"""The alerts: their words, their runbook, when they fire and when not, and that what they rest on is there."""

import re
from pathlib import Path

import pytest
import yaml

from tests.chart.chart import CHART
from tests.chart.observability import ALERTS, alerts, labels_of, promtool, unknown
from tests.cluster.paths import REPOSITORY

CASES = Path(__file__).parent / "alerts.yaml"
RULES = alerts()
RUNBOOK = (CHART / "RUNBOOK.md").read_text()


def sections() -> dict[str, str]:
    """Heading -> text."""
    parts = re.split(r"^## (\w+)$", RUNBOOK, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_prometheus_reads_them() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))


def test_they_fire_when_they_should_and_not_on_a_blip() -> None:
    """Of every alert both, with the words that it has then."""
    promtool("test", "rules", str(CASES))
    fires: dict[bool, set[str]] = {True: set(), False: set()}
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for check in case["alert_rule_test"]:
            fires[bool(check["exp_alerts"])].add(check["alertname"])
    assert fires[True] == fires[False] == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_each_says_what_is_wrong_with_numbers_and_where_to_read_on(name: str) -> None:
    rule = RULES[name]
    assert name.startswith("LLMFleet")
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert re.search(r"\{\{ \$(labels|value)|\d", rule["annotations"]["summary"])
    assert rule["annotations"]["runbook_url"] == f"RUNBOOK.md#{name.lower()}"


def test_each_has_its_section_in_the_runbook_and_no_other_is_there() -> None:
    assert list(sections()) == list(RULES)
    for name, text in sections().items():
        assert re.findall(r"^\*\*(\w+)\*\* \S", text, re.MULTILINE) == ["Means", "See", "Do"], name


def test_the_runbook_names_metrics_that_there_are() -> None:
    mentioned = set(re.findall(r"\bllmfleet_[a-z_]+", RUNBOOK))
    assert len(mentioned) > 5
    assert [name for name in sorted(mentioned) if labels_of(name) is None] == []


@pytest.mark.parametrize("readme", [CHART / "README.md", REPOSITORY / "README.md"], ids=["chart", "project"])
def test_readers_are_told_how_many_there_are(readme: Path) -> None:
    assert f"{len(RULES)} alerts" in readme.read_text()


@pytest.mark.parametrize("name", RULES)
def test_what_they_rest_on_is_there(name: str) -> None:
    """Metrics and labels of the operator's own page alone, so that they work with any scrape."""
    expression = RULES[name]["expr"]
    assert list(unknown(expression)) == []
    assert "vllm:" not in expression


@pytest.mark.parametrize(
    ("expression", "finding"),
    [
        ("llmfleet_replica > 1", "there is no metric llmfleet_replica"),
        ('llmfleet_replicas{sate="ready"}', "llmfleet_replicas has no label sate"),
        ("sum by (profile) (llmfleet_replicas)", "no metric of the expression has a label profile"),
        ("rate(vllm:num_preemption_total[1m])", "there is no metric vllm:num_preemption_total"),
        ("llmfleet_errors > 0", "there is no metric llmfleet_errors"),
    ],
)
def test_what_is_not_there_is_found(expression: str, finding: str) -> None:
    assert finding in list(unknown(expression))
