"""Golden manifests: what an LLMDeployment becomes, to the byte, and that it is valid and restricted."""

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine.checks import check
from llmfleet.engine.problem import Severity
from llmfleet.manifests.children import children
from tests.golden.pod_security import violations

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/llmdeployment.yaml"))
SETTINGS = Settings.parse(yaml.safe_load((HERE / "settings.yaml").read_text()))
KUBERNETES = "1.34"


class _Dumper(yaml.SafeDumper):
    """Keys in the order of the code, texts of several lines as blocks, nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return data is not None


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def read(case: str) -> LLMDeployment:
    return LLMDeployment.parse(document(case))


def document(case: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((HERE / case / "llmdeployment.yaml").read_text())
    return loaded


def rendered(case: str) -> str:
    return yaml.dump_all(children(read(case), SETTINGS), Dumper=_Dumper, sort_keys=False, width=120)


def expected(case: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((HERE / case / "expected.yaml").read_text()))


def pod(case: str) -> dict[str, Any]:
    spec: dict[str, Any] = expected(case)[-1]["spec"]["template"]["spec"]
    return spec


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 12


@pytest.mark.parametrize("case", CASES)
def test_renders_to_the_byte(case: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    path = HERE / case / "expected.yaml"
    if update_golden:
        path.write_text(rendered(case))
    assert rendered(case) == path.read_text()


@pytest.mark.parametrize("case", CASES)
def test_the_input_is_valid_and_wholly_read(case: str) -> None:
    assert [p for p in check(read(case), SETTINGS) if p.severity is Severity.ERROR] == []
    assert read(case).spec.model_dump(mode="json", by_alias=True, exclude_unset=True) == document(case)["spec"]


@pytest.mark.parametrize("case", CASES)
def test_kubernetes_accepts_each_child(case: str) -> None:
    """KEDA's kind is not Kubernetes' own: the API server judges it, in the tests of the control plane."""
    for child in expected(case):
        if child["kind"] != "ScaledObject":
            kubernetes_validate.validate(child, KUBERNETES, strict=True)


def test_the_validator_refuses_a_misspelt_field() -> None:
    child = expected("minimal")[-1]
    child["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(child, KUBERNETES, strict=True)


@pytest.mark.parametrize("case", CASES)
def test_the_pod_is_restricted(case: str) -> None:
    assert list(violations(pod(case))) == []
    container = pod(case)["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod(case)["automountServiceAccountToken"] is False
    assert pod(case)["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("hostPID",), True, "hostPID"),
        (("securityContext", "runAsNonRoot"), False, "engine: runAsNonRoot"),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "engine: seccompProfile"),
        (("containers", 0, "securityContext", "privileged"), True, "engine: privileged"),
        (("containers", 0, "securityContext", "capabilities"), {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "add"),
        (("volumes", 0), {"name": "host", "hostPath": {"path": "/"}}, "volume host"),
    ],
)
def test_what_is_not_restricted_is_found(path: tuple[str | int, ...], value: Any, word: str) -> None:
    broken: Any = copy.deepcopy(pod("minimal"))
    at = broken
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert any(word in found for found in violations(broken))
