"""The scanners, each run on the files of one subject: how many checks passed, and what it found.

Nothing here reaches for the network: kubeconform gets its schemas from a folder, checkov its checks from its package.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chart.chart import KUBERNETES
from tests.cluster import go_tools
from tests.cluster.paths import binary
from tests.scan import environment


@dataclass(frozen=True)
class Finding:
    """One check that one object does not pass."""

    check: str
    what: str
    """Kind and name."""
    words: str
    """The scanner's."""


@dataclass(frozen=True)
class Result:
    """What a scanner says of a set of files."""

    passed: int
    findings: tuple[Finding, ...]
    skipped: int | None = None
    """Objects of a kind that it has no schema of; None where it needs none."""

    def __add__(self, other: "Result") -> "Result":
        """Both together, of the same scanner."""
        skipped = None if self.skipped is None else self.skipped + (other.skipped or 0)
        return Result(self.passed + other.passed, self.findings + other.findings, skipped)


UNKNOWN_KINDS = ("PodMonitor", "ServiceMonitor", "PrometheusRule", "ScaledObject")
"""Of other projects, without a schema here: kubeconform leaves them out, and tests of their own look at them."""
Scanner = Callable[[Iterable[Path]], Result]


def kubeconform(files: Iterable[Path], schemas: str) -> Result:
    """Every field known, of the right type, and none twice: the schemas of Kubernetes and of the CRD."""
    options = [
        f"-skip={','.join(UNKNOWN_KINDS)}",
        "-strict",
        f"-kubernetes-version={KUBERNETES}.0",
        f"-schema-location={schemas}",
        "-output=json",
        "-summary",
    ]
    said = json.loads(_output(binary("kubeconform"), *options, *files))
    found = tuple(Finding("schema", f"{r['kind']} {r['name']}", r["msg"]) for r in said.get("resources") or ())
    return Result(said["summary"]["valid"], found, said["summary"]["skipped"])


def kube_score(files: Iterable[Path]) -> Result:
    """Good practice for pods, Services and policies; checks that are optional are not asked."""
    options = ["score", "--output-format=json", f"--kubernetes-version=v{KUBERNETES}"]
    asked = [
        (f"{thing['type_meta']['kind']} {thing['object_meta']['name']}", check)
        for thing in json.loads(_output(binary("kube-score"), *options, *files))
        for check in thing["checks"]
        if not check["skipped"]
    ]
    found = [Finding(check["check"]["id"], what, _summaries(check)) for what, check in asked if check["grade"] < _BEST]
    return Result(len(asked) - len(found), tuple(found))


def checkov(files: Iterable[Path]) -> Result:
    """Checkov's rules for Kubernetes: the CIS benchmark's, and those between objects."""
    named = [f"--file={path}" for path in files]
    options = ["--framework=kubernetes", "--skip-download", "--output=json", "--quiet"]
    said = json.loads(_output(environment.folder() / "bin" / "checkov", *options, *named))
    failed = said["results"]["failed_checks"] if "results" in said else ()
    if said.get("summary", {}).get("parsing_errors"):
        raise ValueError(f"checkov could not read all of {', '.join(map(str, files))}")
    return Result(said["summary"]["passed"], tuple(_finding(check) for check in failed))


def version(scanner: str) -> str:
    """The version that runs here, from what pins it."""
    is_package = scanner == "checkov"
    pinned = environment.LOCK if is_package else go_tools.MODULES / scanner / "go.mod"
    (found,) = set(re.findall(rf"(?:^|/){scanner}(?:==| v)(\d\S*)", pinned.read_text(), re.MULTILINE))
    return str(found)


_BEST = 10
"""kube-score's grade for a check that is passed."""


def _summaries(check: dict[str, Any]) -> str:
    return "; ".join(comment["summary"] for comment in check["comments"] or ())


def _finding(check: dict[str, Any]) -> Finding:
    """A pod's resource is named by namespace, name and labels; its template's names are enough."""
    kind, _, name, *_ = check["resource"].split(".")
    return Finding(check["check_id"], f"{kind} {name}", check["check_name"])


def _output(program: Path, *arguments: object) -> str:
    """What a scanner prints, whatever it thinks of the files."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    if not done.stdout.startswith(("{", "[")):
        raise ValueError(f"{program.name} did not scan: {done.stderr or done.stdout}")
    return done.stdout
