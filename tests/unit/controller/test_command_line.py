"""The subcommands that need no cluster."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from llmfleet import __version__
from llmfleet.__main__ import main
from llmfleet.api import crd

CHART = Path(__file__).parents[3] / "charts" / "llmfleet"
SETTINGS = "gpuProfiles: [{name: gpu, default: true, memoryGiB: 80}]"
OBJECT = """
apiVersion: serving.llmfleet.io/v1alpha1
kind: LLMDeployment
metadata: {name: qwen}
spec: {model: {source: Qwen/Qwen3-8B}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "settings.yaml"
    path.write_text(SETTINGS)
    return f"--settings={path}"


def written(folder: Path, text: str) -> str:
    path = folder / "objects.yaml"
    path.write_text(text)
    return str(path)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"llmfleet {__version__}\n"


def test_crd_is_what_is_generated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crd"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == crd.document()


def test_render_prints_the_children_of_each_object(
    tmp_path: Path, settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An absent namespace is the default one, as with kubectl."""
    path = written(tmp_path, OBJECT + "---\n" + OBJECT.replace("qwen", "other"))
    assert main(["render", "-f", path, settings]) == 0
    found = [
        (m["kind"], m["metadata"]["name"], m["metadata"]["namespace"])
        for m in yaml.safe_load_all(capsys.readouterr().out)
    ]
    kinds = ["Service", "PodDisruptionBudget", "Deployment"]
    assert found == [(kind, name, "default") for name in ("qwen", "other") for kind in kinds]


def test_render_refuses_what_the_operator_would_not_apply(
    tmp_path: Path, settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, OBJECT.replace("spec: {", "spec: {gpu: {profile: tpu}, "))
    assert main(["render", "-f", path, settings]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "qwen: error: There is no GPU profile 'tpu'" in printed.err


def test_render_takes_the_charts_settings_where_no_others_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images, GPU profiles with their tolerations and resources: what the operator would make after `helm install`."""
    assert main(["render", "-f", written(tmp_path, OBJECT)]) == 0
    values = yaml.safe_load((CHART / "values.yaml").read_text())["settings"]
    (profile,) = (profile for profile in values["gpuProfiles"] if profile.get("default"))
    pod = list(yaml.safe_load_all(capsys.readouterr().out))[-1]["spec"]["template"]["spec"]
    (engine,) = pod["containers"]
    assert pod["tolerations"] == profile["tolerations"]
    assert engine["image"] == values["engine"]["defaultImage"]
    assert engine["resources"]["limits"]["memory"] == profile["resources"]["limits"]["memory"]


def test_a_part_of_the_settings_is_not_taken_for_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = tmp_path / "part.yaml"
    part.write_text("scaling: {scrapePeriodSeconds: 2}")
    assert main(["render", "-f", written(tmp_path, OBJECT), f"--settings={part}"]) == 1
    assert "part.yaml: has no gpuProfiles" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((CHART / "examples").glob("[!p]*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("command", ["plan", "render"])
def test_the_charts_examples_can_be_given(command: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Objects of other kinds in the same file are passed over, and named."""
    others = {document["kind"] for document in yaml.safe_load_all(path.read_text())} - {"LLMDeployment"}
    refused = path.stem == "scaling-keda"  # as the chart is by default, without the address of a Prometheus
    assert main([command, "-f", str(path)]) == refused
    said = capsys.readouterr().err
    assert all(f"passed over a {kind}" in said for kind in others)
    assert said.count("passed over") == len(others)


def test_render_prints_warnings_and_goes_on(tmp_path: Path, settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, OBJECT.replace("spec: {", "spec: {engine: {gpuMemoryUtilization: 0.97}, "))
    assert main(["render", "-f", path, settings]) == 0
    assert "qwen: warning: spec.engine.gpuMemoryUtilization 0.97" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod", "holds no LLMDeployment"),
        ("replicas: 2", "holds a document that is no Kubernetes object"),
        (OBJECT.replace("Qwen/Qwen3-8B", "{}"), "spec.model.source: Input should be a valid string"),
        ("a: [", "not valid YAML"),
    ],
)
def test_render_says_what_is_wrong_with_a_file(
    tmp_path: Path, settings: str, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    assert main(["render", "-f", written(tmp_path, text), settings]) == 1
    assert words in capsys.readouterr().err


def test_a_missing_file_is_no_traceback(tmp_path: Path, settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-f", str(tmp_path / "none.yaml"), settings]) == 1
    assert "none.yaml: No such file or directory" in capsys.readouterr().err


def test_run_needs_settings_that_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", f"--settings={tmp_path}/none.yaml"]) == 1
    assert "give the settings file with --settings" in capsys.readouterr().err
    with pytest.raises(SystemExit) as raised:
        main(["run"])
    assert raised.value.code == 2


def run_operator(settings: str, *more: str, kubeconfig: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the client looks for its configuration when it is imported."""
    env = {key: value for key, value in os.environ.items() if key != "KUBERNETES_SERVICE_HOST"}
    env |= {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(Path(__file__).parents[3] / "operator")}
    argv = [sys.executable, "-m", "llmfleet", "run", settings, *more]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_run_without_credentials_says_so(tmp_path: Path, settings: str) -> None:
    done = run_operator(settings, kubeconfig=tmp_path / "none")
    assert done.returncode == 1
    assert "set KUBECONFIG" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_on_a_taken_port_says_so(tmp_path: Path, settings: str) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    cluster = {"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}
    parts = {"contexts": [context], "clusters": [cluster], "users": [{"name": "x", "user": {}}], "current-context": "x"}
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config"} | parts))
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_operator(settings, f"--port={port}", kubeconfig=kubeconfig)
    assert done.returncode == 1
    assert f"port {port} cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
