"""Scanners and their findings as a page, made by the test that runs them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.chart.chart import CHART
from tests.scan import scanners
from tests.scan.scanners import Result

PAGE = CHART / "SCANNERS.md"
HEAD = """# Scanners

What scanners say of every object that `helm install` makes, for each case in `tests/chart/cases`, and of what the
operator makes of the LLMDeployments in `tests/golden`. They run offline with `make scan`, which fails on a finding
without a reason below, and on a reason without a finding. `.venv/bin/pytest tests/scan --update-golden` makes the page.

"""
TAIL = f"""
kubeconform knows no {", ".join(scanners.UNKNOWN_KINDS)}, which are other projects'; tests of their own look at them.

Not run: kube-linter, Polaris and kubescape, whose Go modules could not be had; scanners of images, since they need a
database of known holes from the network. Each image carries what such a scanner reads, its
[bill of materials](README.md#images).
"""


@dataclass(frozen=True)
class Argued:
    """Findings that are left as they are."""

    part: str
    checks: Mapping[str, str]
    """Scanner -> its check."""
    reason: str


def exceptions() -> list[Argued]:
    """All of them, as the file has them."""
    loaded: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "exceptions.yaml").read_text())
    return [Argued(**item) for item in loaded]


def page(results: Mapping[tuple[str, str], Result], objects: Mapping[str, int]) -> str:
    """The page: what ran with how many checks, and what is left as it is, with the reason."""
    return HEAD + "\n".join([*_runs(results, objects), "", *_reasons()]) + "\n" + TAIL


def _runs(results: Mapping[tuple[str, str], Result], objects: Mapping[str, int]) -> Iterator[str]:
    yield "| Scanner | Scanned | Objects | Without a schema | Checks passed | Left as they are | Unexplained |"
    yield "|---|---|---|---|---|---|---|"
    for (scanner, part), result in results.items():
        argued = {item.checks.get(scanner) for item in exceptions() if item.part == part}
        left = [finding for finding in result.findings if finding.check in argued]
        cells = (
            f"{scanner} {scanners.version(scanner)}",
            part,
            objects[part],
            "" if result.skipped is None else result.skipped,
            result.passed,
            _checks(left),
        )
        yield "| " + " | ".join(map(str, (*cells, len(result.findings) - len(left)))) + " |"


def _checks(left: list[scanners.Finding]) -> str:
    kinds = len({finding.check for finding in left})
    return f"{len(left)}, of {kinds} checks" if left else "0"


def _reasons() -> Iterator[str]:
    yield "| Of | Left as it is | Why |"
    yield "|---|---|---|"
    for item in exceptions():
        names = ", ".join(f"{scanner} `{check}`" for scanner, check in item.checks.items())
        yield f"| {item.part} | {names} | {item.reason} |"
