"""Metrics pages taken apart: names, types, helps and labels, to be compared with the page captured from vLLM 0.32.0."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parse_page

CAPTURED = (Path(__file__).parents[1] / "unit" / "data" / "vllm-0.32.0-metrics-idle.txt").read_text()
"""Of an engine with a maximum length of 2,048 and the name `tiny`, after /v1/models and a chat answer."""
LABELS = ("le", "reason", "source", "finished_reason", "sleep_state", "engine", "model_name")
"""Labels whose values do not depend on what was asked."""
Family = tuple[str, str, str]


def shapes(page: str) -> dict[Family, set[tuple[str, tuple[str, ...]]]]:
    """Sample names with their label names, by family name, type and help."""
    found: dict[Family, set[tuple[str, tuple[str, ...]]]] = {}
    for family in parse_page(page):
        samples = {(sample.name, tuple(sorted(sample.labels))) for sample in family.samples}
        found[family.name, family.type, family.documentation] = samples
    return found


def label_values(page: str, label: str) -> dict[str, set[str]]:
    """The values of one label, by sample name, without those that depend on what was asked."""
    found: dict[str, set[str]] = {}
    for family in parse_page(page):
        for sample in family.samples:
            if label in sample.labels and not family.name.startswith("http_requests"):
                found.setdefault(sample.name, set()).add(sample.labels[label])
    return found
