"""What the chart renders to: by the byte, valid for Kubernetes, and hardened."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from llmfleet.activator.app import LAST_SECONDS, WITHDRAWAL_SECONDS
from llmfleet.api import crd
from llmfleet.api.v1alpha1 import LLMDeployment
from tests.chart.chart import CHART, KUBERNETES, HelmError, Manifest, activators, helm, manifests, one, rendered
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
def test_all_pods_fit_the_restricted_profile(case: str) -> None:
    for deployment in (one(values(case), "Deployment"), *activators(values(case), "Deployment")):
        pod = deployment["spec"]["template"]["spec"]
        assert list(violations(pod)) == []
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsUser"] >= 10000


def test_an_activator_that_goes_has_the_time_that_it_gives_its_requests() -> None:
    """Five seconds until nobody connects any more, and some for the last answers."""
    (deployment,) = activators({"activator": {"drainSeconds": 90}}, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert "--drain-seconds=90" in pod["containers"][0]["args"]
    assert pod["terminationGracePeriodSeconds"] >= 90 + WITHDRAWAL_SECONDS + LAST_SECONDS


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


def notes(tmp_path: Path, chart_values: dict[str, Any]) -> str:
    """What helm says after an install. It shows it then only, so here it is the content of an object."""
    copy = shutil.copytree(CHART, tmp_path / "llmfleet")
    templates = copy / "templates"
    said = (templates / "NOTES.txt").read_text()
    (templates / "_notes.tpl").write_text(f'{{{{- define "notes" }}}}{said}{{{{- end }}}}')
    (templates / "shown.yaml").write_text('kind: Notes\ntext: {{ include "notes" . | quote }}\n')
    text = rendered(chart_values, chart=copy)
    (found,) = (document["text"] for document in yaml.safe_load_all(text) if document["kind"] == "Notes")
    return str(found)


STUB = """#!/bin/bash
echo "$@" >> "$CALLS"
if [ "$1" = apply ]; then cat > "$APPLIED"; fi
"""
"""A kubectl that writes down how it was called, and what it was given."""


@pytest.mark.parametrize(
    ("chart_values", "namespace", "watched"),
    [
        ({}, "default", "--all-namespaces"),
        ({"scope": "namespace", "watchNamespaces": ["team-a", "team-b"]}, "team-a", "--namespace team-a"),
    ],
)
def test_the_notes_have_a_first_model_that_a_shell_takes(
    tmp_path: Path, chart_values: dict[str, Any], namespace: str, watched: str
) -> None:
    """Copied into bash as they stand, the lines apply an object and look at what its owner may see."""
    script = notes(tmp_path, chart_values).partition("a first model:\n")[2].partition("GPU profiles:")[0]
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(STUB)
    kubectl.chmod(0o755)
    calls, applied = tmp_path / "calls", tmp_path / "applied"
    environment = {"PATH": f"{kubectl.parent}:/usr/bin:/bin", "CALLS": str(calls), "APPLIED": str(applied)}
    subprocess.run(["bash", "-eu", "-c", script], env=environment, check=True)
    assert calls.read_text().splitlines() == ["apply -f -", f"get llm {watched} --watch"]
    document = yaml.safe_load(applied.read_text())
    assert document["metadata"] == {"name": "qwen3-8b", "namespace": namespace}
    assert LLMDeployment.parse(document).spec.model.source == "hf://Qwen/Qwen3-8B"


@pytest.mark.parametrize(
    ("chart_values", "said", "unsaid"),
    [
        ({}, ["  h100-80gb (default)\n", "it must be on the nodes already", "engines keep serving"], ["crds.keep"]),
        ({"image": {"repository": "r.example/op"}}, [], ["it must be on the nodes already"]),
        ({"crds": {"keep": False}}, ["removes the CustomResourceDefinition, and with it every"], ["keep serving"]),
        ({"crds": {"enabled": False}}, ["keep serving", "belongs to whoever installed it"], ["kubectl delete crd"]),
        ({"scope": "namespace", "watchNamespaces": ["team-a"]}, ["LLMDeployments in the namespaces team-a."], []),
    ],
)
def test_the_notes_say(tmp_path: Path, chart_values: dict[str, Any], said: list[str], unsaid: list[str]) -> None:
    """Where the image must be, and what an uninstall leaves, for the values of this release."""
    text = notes(tmp_path, chart_values)
    assert [words for words in said if words not in text] == []
    assert [words for words in unsaid if words in text] == []


def test_an_old_kubernetes_is_refused() -> None:
    with pytest.raises(HelmError, match=r"kubeVersion: >=1\.30\.0-0"):
        helm("template", "llmfleet", str(CHART), "--kube-version=1.29")
