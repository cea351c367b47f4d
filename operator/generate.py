"""Writes what is derived from the API models: the CRD and the tables of reasons in operator/README.md.

`make generate` runs this file; a test says when a copy is stale.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from llmfleet.api import crd
from llmfleet.api.conditions import ADVICE, SENTENCES

ROOT = Path(__file__).parents[1]
TABLES: dict[str, tuple[str, Mapping[StrEnum, str]]] = {
    "reasons": ("what it says", {**SENTENCES}),
    "recommendations": ("what was seen", {**ADVICE}),
}
"""Marks in the text -> head of the second column, and the rows."""


def readme(current: str) -> str:
    """The text with each table written anew between its two marks."""
    for name, (head, sentences) in TABLES.items():
        begin, end = f"<!-- {name}: begin (made by `make generate`) -->\n", f"<!-- {name}: end -->"
        before, rest = current.split(begin)
        rows = "".join(f"| {reason.value} | {sentence} |\n" for reason, sentence in sentences.items())
        current = f"{before}{begin}\n| reason | {head} |\n|---|---|\n{rows}\n{end}{rest.split(end)[1]}"
    return current


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
