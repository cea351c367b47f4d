"""What the chart renders to: by the byte, valid for Kubernetes, and hardened."""

import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from llmfleet.api import crd
from tests.chart.chart import CHART, KUBERNETES, HelmError, Manifest, helm, manifests, one, rendered
from tests.golden.pod_security import violations

HERE = Path(__file__).parent / "cases"
CASES = sorted(path.parent.name for path in HERE.glob("*/values.yaml"))


def values(case: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((HERE / case / "values.yaml").read_text())
    return loaded


def shortened(text: str) -> str:
    """Without the CRD and the dashboards, which have their own tests and would be thousands of lines."""
    own = ("/crds/", "/monitoring/dashboards.yaml")
    parts = text.split("---\n")[1:]
    return "".join(f"---\n{part}" for part in parts if not any(name in part.splitlines()[0] for name in own))


@pytest.mark.parametrize("case", CASES)
def test_renders_to_the_byte(case: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    path = HERE / case / "expected.yaml"
    text = shortened(rendered(values(case)))
    if update_golden:
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("case", CASES)
def test_kubernetes_accepts_each_object(case: str) -> None:
    for manifest in manifests(values(case)):
        if not manifest["apiVersion"].startswith("monitoring.coreos.com/"):  # not Kubernetes' own
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_validator_refuses_a_misspelt_field() -> None:
    manifest = one({}, "PodDisruptionBudget")
    manifest["spec"]["maxUnavailble"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("case", CASES)
def test_helm_lint_finds_nothing(case: str) -> None:
    said = helm("lint", "--strict", str(CHART), f"--values={HERE / case / 'values.yaml'}")
    assert "1 chart(s) linted, 0 chart(s) failed" in said
    assert "[WARNING]" not in said


@pytest.mark.parametrize("case", CASES)
def test_the_operator_fits_the_restricted_profile(case: str) -> None:
    pod = one(values(case), "Deployment")["spec"]["template"]["spec"]
    assert list(violations(pod)) == []
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsUser"] >= 10000


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_in_a_namespace_by_name_and_labelled(case: str) -> None:
    """`helm template | kubectl apply` must give what `helm install` gives."""
    cluster_wide = {
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    for manifest in manifests(values(case)):
        meta = manifest["metadata"]
        assert ("namespace" in meta) is (manifest["kind"] not in cluster_wide), manifest["kind"]
        assert meta["labels"]["app.kubernetes.io/part-of"] == "llmfleet", manifest["kind"]


def test_the_crd_is_the_generated_one_and_kept() -> None:
    found = one({}, "CustomResourceDefinition")
    assert found["spec"] == crd.document()["spec"]
    assert found["metadata"]["name"] == crd.document()["metadata"]["name"]
    assert found["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize(("crds", "kept"), [({"enabled": False}, None), ({"keep": False}, False)])
def test_the_crd_can_be_left_out_or_let_go(crds: dict[str, bool], kept: bool | None) -> None:  # noqa: FBT001 - a row
    found = [manifest for manifest in manifests({"crds": crds}) if manifest["kind"] == "CustomResourceDefinition"]
    assert [("annotations" in manifest["metadata"]) for manifest in found] == ([] if kept is None else [kept])


def pod_template(settings: dict[str, Any]) -> Manifest:
    template: Manifest = one({"settings": settings}, "Deployment")["spec"]["template"]
    return template


def test_changed_settings_are_a_new_pod_and_the_same_ones_are_not() -> None:
    before = pod_template({"scaling": {"scrapePeriodSeconds": 5}})
    assert before == pod_template({})
    assert before != pod_template({"scaling": {"scrapePeriodSeconds": 6}})


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "localhost/llmfleet/operator:0.1.0"),
        ({"repository": "r.example/op", "tag": "1.2"}, "r.example/op:1.2"),
        ({"tag": "1.2", "digest": f"sha256:{'a' * 64}"}, f"localhost/llmfleet/operator@sha256:{'a' * 64}"),
    ],
)
def test_the_image_reference(image: dict[str, str], expected: str) -> None:
    pod = one({"image": image}, "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == expected


def test_the_notes_name_the_next_step(tmp_path: Path) -> None:
    """Helm shows them after an install only, so here they are the content of an object."""
    copy = shutil.copytree(CHART, tmp_path / "llmfleet")
    templates = copy / "templates"
    notes = (templates / "NOTES.txt").read_text()
    (templates / "_notes.tpl").write_text(f'{{{{- define "notes" }}}}{notes}{{{{- end }}}}')
    (templates / "shown.yaml").write_text('kind: Notes\ntext: {{ include "notes" . | quote }}\n')
    text = rendered({"scope": "namespace", "watchNamespaces": ["team-a"]}, chart=copy)
    (said,) = (document["text"] for document in yaml.safe_load_all(text) if document["kind"] == "Notes")
    assert "serves LLMDeployments in the namespaces team-a." in said
    assert "kubectl apply -f - <<EOF" in said
    assert "    namespace: team-a\n" in said
    assert "  h100-80gb (default)\n" in said


def test_an_old_kubernetes_is_refused() -> None:
    with pytest.raises(HelmError, match=r"kubeVersion: >=1\.30\.0-0"):
        helm("template", "llmfleet", str(CHART), "--kube-version=1.29")
