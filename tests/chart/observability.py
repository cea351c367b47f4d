"""What alerts and dashboards rest on: the names and labels that there are, and those that an expression uses."""

import re
import runpy
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sim_engine.families import families
from tests.chart.chart import CHART
from tests.cluster.paths import REPOSITORY, binary

ALERTS = CHART / "files" / "alerts.yaml"
TARGET_LABELS = {"namespace", "pod", "container", "instance", "job", "endpoint", "service", "llmfleet_io_deployment"}
"""What every series of a scrape may have."""
PAGE = REPOSITORY / "tests" / "unit" / "data" / "vllm-0.32.0-metrics-idle.txt"
"""As captured from vLLM."""
OLD_RELEASE = (0, 10, 2)
"""The last one with all of the old names, as the simulated engine has them."""
_METRIC = r"\b(?:llmfleet_[a-z0-9_]+|vllm:[a-z0-9_:]+|process_[a-z_]+)\b(?!\s*=)"
_SERIES = re.compile(rf"({_METRIC})(?:\{{([^}}]*)\}})?")
_MATCHER = re.compile(r'([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"')
_GROUPING = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")
_SUFFIXES = ("_bucket", "_sum", "_count")


def alerts() -> dict[str, dict[str, Any]]:
    """The rules by name."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@cache
def known() -> Mapping[str, frozenset[str]]:
    """Every metric of the operator's page, of an activator's and of vLLM's, with its labels."""
    pages = runpy.run_path(str(REPOSITORY / "operator" / "generate.py"))
    series = [*pages["series"](), *pages["activator_series"]()]
    found = {name: set(labels) for name, _, labels, _ in series}
    for kind in ("process_resident_memory_bytes", "process_cpu_seconds_total"):
        found[kind] = set()
    for line in PAGE.read_text().splitlines():
        if line.startswith("vllm:"):
            name, _, rest = line.partition("{")
            found.setdefault(name.split(" ")[0], set()).update(_MATCHER.findall(rest))
    for family in families(OLD_RELEASE):
        name = family.name + ("_total" if family.kind == "counter" else "")
        found.setdefault(name, set()).update({"model_name", "engine", family.label} - {""})
    return {name: frozenset(labels | TARGET_LABELS) for name, labels in found.items()}


def unknown(expression: str) -> Iterator[str]:
    """Metrics and labels of an expression that nobody has."""
    used: set[str] = set()
    for metric, matchers in _SERIES.findall(expression):
        labels = labels_of(metric)
        if labels is None:
            yield f"there is no metric {metric}"
            continue
        used |= labels
        yield from (f"{metric} has no label {label}" for label in _MATCHER.findall(matchers) if label not in labels)
    grouped = {label.strip() for group in _GROUPING.findall(expression) for label in group.split(",") if label.strip()}
    yield from (f"no metric of the expression has a label {label}" for label in sorted(grouped - used))


def labels_of(metric: str) -> frozenset[str] | None:
    """Labels of a metric, those of a histogram's parts too; None if there is none."""
    if metric in known():
        return known()[metric]
    for suffix in _SUFFIXES:
        if metric.endswith(suffix) and metric.removesuffix(suffix) in known():
            return known()[metric.removesuffix(suffix)] | {"le"}
    return None


def promtool(*arguments: str) -> str:
    """Run promtool and return what it said.

    Raises:
        AssertionError: it found something; the message is what it said.
    """
    argv = [str(binary("promtool")), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_expressions(expressions: list[str], folder: Path) -> None:
    """Have Prometheus' own parser read them.

    Raises:
        AssertionError: one is not PromQL.
    """
    rules = [{"record": f"check:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    file = folder / "expressions.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "expressions", "rules": rules}]}))
    promtool("check", "rules", "--lint=none", str(file))
