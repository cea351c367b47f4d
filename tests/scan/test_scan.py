"""Scanners find nothing that is not argued, in what helm installs and in what the operator makes."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.chart import one
from tests.scan import report, scanners, schemas, subjects
from tests.scan.scanners import Result, Scanner
from tests.scan.subjects import SCANNERS, Subject


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Subject]:
    return subjects.write(tmp_path_factory.mktemp("objects"))


@pytest.fixture(scope="module")
def by_name(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scanner]:
    place = schemas.write(tmp_path_factory.mktemp("schemas"))
    conform: Scanner = partial(scanners.kubeconform, schemas=place)
    return {"kubeconform": conform, "kube-score": scanners.kube_score, "checkov": scanners.checkov}


@pytest.fixture(scope="module")
def results(found: list[Subject], by_name: dict[str, Scanner]) -> dict[tuple[str, str], Result]:
    """By scanner and part. Each rendering is a cluster of its own, so each is a run."""
    asked = [(name, subject) for name in SCANNERS for subject in found if name in subject.scanners]
    merged: dict[tuple[str, str], Result] = {}
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda pair: by_name[pair[0]](pair[1].files), asked)
        for (name, subject), result in zip(asked, answers, strict=True):
            key = (name, subject.part)
            merged[key] = merged[key] + result if key in merged else result
    return merged


def test_every_finding_has_a_reason(results: dict[tuple[str, str], Result]) -> None:
    argued = {(scanner, item.part, check) for item in report.exceptions() for scanner, check in item.checks.items()}
    unexplained = [
        f"{scanner} {finding.check} in {part}: {finding.what}: {finding.words}"
        for (scanner, part), result in results.items()
        for finding in result.findings
        if (scanner, part, finding.check) not in argued
    ]
    assert unexplained == []


def test_every_reason_has_a_finding(results: dict[tuple[str, str], Result]) -> None:
    """What is no longer found needs no exception any more."""
    seen = {(scanner, part, finding.check) for (scanner, part), r in results.items() for finding in r.findings}
    argued = [(scanner, item.part, check) for item in report.exceptions() for scanner, check in item.checks.items()]
    assert [line for line in argued if line not in seen] == []
    assert len(argued) == len(set(argued))


def test_the_page_says_what_was_found(
    results: dict[tuple[str, str], Result],
    found: list[Subject],
    update_golden: bool,  # noqa: FBT001 - a fixture
) -> None:
    text = report.page(results, {part: subjects.count(found, part) for _, part in results})
    if update_golden:
        report.PAGE.write_text(text)
    assert text == report.PAGE.read_text(), "run `.venv/bin/pytest tests/scan --update-golden`"


def test_every_object_has_a_schema(results: dict[tuple[str, str], Result], found: list[Subject]) -> None:
    """A kind that kubeconform does not know would be no finding of its schema, but of its absence."""
    for part in {subject.part for subject in found}:
        known = subjects.count(found, part, but=scanners.UNKNOWN_KINDS)
        assert results["kubeconform", part].passed == known


def _without_security(pod: Any) -> None:
    del pod["containers"][0]["securityContext"]


def _as_root(pod: Any) -> None:
    pod["securityContext"] |= {"runAsUser": 0, "runAsNonRoot": False}


def _misspelt(pod: Any) -> None:
    pod["containers"][0]["livenesProbe"] = {}


@pytest.mark.parametrize(
    ("scanner", "spoil", "check"),
    [
        ("kubeconform", _misspelt, "schema"),
        ("kube-score", _without_security, "container-security-context-readonlyrootfilesystem"),
        ("checkov", _as_root, "CKV_K8S_23"),
    ],
)
def test_what_is_wrong_is_found(
    by_name: dict[str, Scanner], tmp_path: Path, scanner: str, spoil: Callable[[Any], None], check: str
) -> None:
    deployment = copy.deepcopy(one({}, "Deployment"))
    spoil(deployment["spec"]["template"]["spec"])
    path = tmp_path / "spoilt.yaml"
    path.write_text(yaml.safe_dump(deployment))
    assert check in {finding.check for finding in by_name[scanner]([path]).findings}
