"""Writes what is derived from the API models: the CRD and the table of reasons in operator/README.md.

`make generate` runs this file; a test says when a copy is stale.
"""

from pathlib import Path

from llmfleet.api import crd
from llmfleet.api.conditions import SENTENCES

ROOT = Path(__file__).parents[1]
_BEGIN, _END = "<!-- reasons: begin (made by `make generate`) -->\n", "<!-- reasons: end -->"


def readme(current: str) -> str:
    """The text with the table of reasons written anew between its two marks."""
    before, rest = current.split(_BEGIN)
    rows = "".join(f"| {reason.value} | {sentence} |\n" for reason, sentence in SENTENCES.items())
    return f"{before}{_BEGIN}\n| reason | what it says |\n|---|---|\n{rows}\n{_END}{rest.split(_END)[1]}"


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
