"""Writes what is derived from the sources: the CRD, and the tables of reasons and metrics in operator/README.md.

`make generate` runs this file; a test says when a copy is stale.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric

from llmfleet.activator.metrics import ActivatorMetrics
from llmfleet.api import crd
from llmfleet.api.conditions import ADVICE, SENTENCES
from llmfleet.controller import fleet_metrics, metrics
from llmfleet.scaling.metrics import ScalingMetrics

ROOT = Path(__file__).parents[1]
TABLES: dict[str, tuple[str, Mapping[StrEnum, str]]] = {
    "reasons": ("what it says", {**SENTENCES}),
    "recommendations": ("what was seen", {**ADVICE}),
}
"""Marks in the text -> head of the second column, and the rows."""


def readme(current: str) -> str:
    """The text with each table written anew between its two marks."""
    for name, (head, sentences) in TABLES.items():
        rows = "".join(f"| {reason.value} | {sentence} |\n" for reason, sentence in sentences.items())
        current = _between(current, name, f"| reason | {head} |\n|---|---|\n{rows}")
    current = _between(current, "metrics", _series_table(series()))
    return _between(current, "activator metrics", _series_table(activator_series()))


def _series_table(found: list[tuple[str, str, tuple[str, ...], str]]) -> str:
    rows = "".join(f"| {_signature(name, labels)} | {kind} | {text} |\n" for name, kind, labels, text in found)
    return f"| metric | type | meaning |\n|---|---|---|\n{rows}"


def series() -> list[tuple[str, str, tuple[str, ...], str]]:
    """Every family of the operator's page, as scraped: name, type, labels, what it says."""
    declared = [*metrics.OWN, *ScalingMetrics(CollectorRegistry()).all]
    families = [(one.describe()[0], one._labelnames) for one in declared]  # noqa: SLF001 - public nowhere
    families += [(one.family(), ("namespace", "name", *one.labels)) for one in fleet_metrics.SERIES]
    return _described(families)


def activator_series() -> list[tuple[str, str, tuple[str, ...], str]]:
    """The same of an activator's page."""
    declared = ActivatorMetrics(CollectorRegistry()).all
    return _described([(one.describe()[0], one._labelnames) for one in declared])  # noqa: SLF001 - public nowhere


def _described(families: list[tuple[Metric, Sequence[str]]]) -> list[tuple[str, str, tuple[str, ...], str]]:
    return [
        (one.name + ("_total" if one.type == "counter" else ""), one.type, tuple(labels), one.documentation)
        for one, labels in families
    ]


def _signature(name: str, labels: tuple[str, ...]) -> str:
    return f"`{name}{{{','.join(labels)}}}`" if labels else f"`{name}`"


def _between(current: str, name: str, table: str) -> str:
    """The text with a table in place of what stands between the two marks of that name."""
    begin, end = f"<!-- {name}: begin (made by `make generate`) -->\n", f"<!-- {name}: end -->"
    before, rest = current.split(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"


def files() -> dict[Path, str]:
    """Every generated file with its wanted content."""
    architecture = ROOT / "operator" / "README.md"
    return {
        ROOT / "crds" / "llmdeployments.serving.llmfleet.io.yaml": crd.to_yaml(crd.document()),
        architecture: readme(architecture.read_text()),
    }


if __name__ == "__main__":
    for path, wanted in files().items():
        path.write_text(wanted)
