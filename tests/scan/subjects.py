"""What is scanned: the chart as it renders for each case of tests/chart, and what becomes of those of tests/golden."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.chart.chart import CHART, rendered
from tests.chart.test_rendering import CASES, values
from tests.golden import test_golden

CHART_PART, ENGINES_PART, LLMDEPLOYMENTS_PART = "chart", "engines", "LLMDeployments"
SCANNERS = ("kubeconform", "kube-score", "checkov")


@dataclass(frozen=True)
class Subject:
    """Files that belong to one cluster: objects in one may name those in another."""

    part: str
    """The chart's objects, the engines', or what people write."""
    files: tuple[Path, ...]
    scanners: tuple[str, ...] = SCANNERS
    """Those that know such objects."""


def write(folder: Path) -> list[Subject]:
    """Write everything into a folder, and say what belongs together."""
    found = [Subject(CHART_PART, (_file(folder / f"chart-{case}.yaml", rendered(values(case))),)) for case in CASES]
    engines = [_file(folder / f"{case}.yaml", test_golden.rendered(case)) for case in test_golden.CASES]
    examples = [
        path for path in sorted((CHART / "examples").glob("*.yaml")) if "kind: LLMDeployment" in path.read_text()
    ]
    written = [*examples, *(test_golden.HERE / case / "llmdeployment.yaml" for case in test_golden.CASES)]
    return [
        *found,
        Subject(ENGINES_PART, tuple(engines)),
        Subject(LLMDEPLOYMENTS_PART, tuple(written), scanners=("kubeconform",)),
    ]


def count(subjects: list[Subject], part: str, *, but: Collection[str] = ()) -> int:
    """The objects of a part that are not of certain kinds."""
    files = [path for subject in subjects if subject.part == part for path in subject.files]
    documents = [document for path in files for document in yaml.safe_load_all(path.read_text()) if document]
    return sum(1 for document in documents if document["kind"] not in but)


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
