"""`llmfleet plan`: what it prints, in what form, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmfleet.__main__ import main
from llmfleet.api.status import PlanStatus
from llmfleet.commands.plan_text import WIDTH
from llmfleet.engine.models import table as models
from tests.unit.engine.shapes import CONFIGS

GOLDEN = Path(__file__).parents[2] / "golden" / "plan"
OUTPUTS = {
    "fits": "Qwen/Qwen3-8B",
    "does-not-fit": "meta-llama/Llama-3.1-8B-Instruct --gpu l4",
    "too-large": "meta-llama/Llama-3.3-70B-Instruct --gpu h100-80gb",
    "tight": "Qwen/Qwen3-32B --gpu h100-80gb",
    "eight-gpus": "deepseek-ai/DeepSeek-V3 --gpu h200-141gb --tp 8",
    "warnings": "Qwen/Qwen3-0.6B --gpu t4 --vllm-version 0.19.0 --quantization gguf",
    "gpus": "--gpus",
}
"""Name of the golden file -> arguments."""
OBJECT = """
apiVersion: serving.llmfleet.io/v1alpha1
kind: LLMDeployment
metadata: {name: chat}
spec: {model: {source: %s}, engine: {maxModelLen: 8192}}
"""


def ended(arguments: str) -> int:
    return main(["plan", *arguments.split()])


@pytest.mark.parametrize(("name", "arguments"), OUTPUTS.items(), ids=OUTPUTS)
def test_output(name: str, arguments: str, capsys: pytest.CaptureFixture[str], update_golden: bool) -> None:  # noqa: FBT001
    ended(arguments)
    found = capsys.readouterr().out
    path = GOLDEN / f"{name}.txt"
    if update_golden:
        path.write_text(found)
    assert found == path.read_text()


def test_the_readme_shows_what_is_printed() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    assert (GOLDEN / "does-not-fit.txt").read_text() in readme


@pytest.mark.parametrize("gpu", ["t4", "h100-80gb", "mi300x"])
def test_every_model_fits_on_a_terminal_of_80_columns(gpu: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in models.names():
        ended(f"{name} --gpu {gpu}")
        assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= WIDTH, name
    ended("--models")
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= WIDTH


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("Qwen/Qwen3-8B", 0),
        ("qwen/qwen3-8b", 0),
        ("Qwen/Qwen3-32B", 0),
        ("meta-llama/Llama-3.3-70B-Instruct", 1),
        ("meta-llama/Llama-3.3-70B-Instruct --tp 4", 0),
        ("meta-llama/Llama-3.3-70B-Instruct --tp 3", 1),
        ("Qwen/Qwen3-8B --max-model-len 100000", 1),
        ("Qwen/Qwen3-8B --max-model-len auto --gpu l4", 0),
    ],
)
def test_the_exit_code_says_whether_it_will_start(
    arguments: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(arguments) == code
    written = capsys.readouterr()
    assert ("It does not fit." in written.out or "will not start." in written.out) == bool(code)
    assert written.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "say what to plan: a MODEL, --config FILE, or -f FILE"),
        ("Qwen/Qwen3-8", "Qwen/Qwen3-8 is not among the well-known models: give its config.json with --config"),
        ("Qwen/Qwen3-8", "did you mean:\n  Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-8B --gpu h1000", "there is no GPU profile 'h1000': take one of t4, l4"),
        ("Qwen/Qwen3-8B --gpu cpu", "There is no memory plan: the profile has no GPU."),
        ("Qwen/Qwen3-8B --tp 0", "spec.gpu.tensorParallelSize: Input should be greater than or equal to 1"),
        ("Qwen/Qwen3-8B --max-model-len 8k", "spec.engine.maxModelLen"),
        ("Qwen/Qwen3-8B --utilization 1", "spec.engine.gpuMemoryUtilization: Input should be less than 1"),
        ("Qwen/Qwen3-8B -f x.yaml", "give either a file of LLMDeployments or a model"),
        ("-f nowhere.yaml", "nowhere.yaml: No such file or directory"),
        ("--config nowhere.json", "nowhere.json: No such file or directory"),
        ("Qwen/Qwen3-8B --settings nowhere.yaml", "nowhere.yaml: No such file or directory; give the settings file"),
    ],
)
def test_wrong_usage_says_what_to_do(arguments: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(arguments) == 1
    assert words in capsys.readouterr().err


def test_any_model_is_planned_by_its_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIGS["qwen3-8b"]))
    assert ended(f"--config {path} --gpu h100-80gb --json") == 0
    own = json.loads(capsys.readouterr().out)
    ended("Qwen/Qwen3-8B --gpu h100-80gb --json")
    known = json.loads(capsys.readouterr().out)
    assert own["kvCacheTokens"] == known["kvCacheTokens"] > 0
    path.write_text("[]")
    assert ended(f"--config {path}") == 1
    path.write_text("{")
    assert ended(f"--config {path}") == 1
    assert capsys.readouterr().err.count(str(path)) == 2


def test_json_has_the_keys_of_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    ended("meta-llama/Llama-3.1-8B-Instruct --gpu l4 --json")
    found = json.loads(capsys.readouterr().out)
    plan = PlanStatus.model_validate(found)
    assert plan.dump().items() <= found.items()
    assert (found["verdict"], found["gpuProfile"], found["gpusPerReplica"]) == ("DoesNotFit", "l4", 1)
    assert [problem["reason"] for problem in found["problems"]] == ["DoesNotFitMemory"]
    assert found["remedies"][0]["changes"].keys() == {"spec.engine.maxModelLen"}


def test_a_file_of_objects_is_planned_with_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that the operator checks is said; a model that is not known has no numbers and is no failure."""
    settings = tmp_path / "settings.yaml"
    settings.write_text("gpuProfiles: [{name: big, default: true, memoryGiB: 80, computeCapability: '9.0'}]")
    objects = tmp_path / "objects.yaml"
    objects.write_text(OBJECT % "Qwen/Qwen3-8B" + "---" + OBJECT % "team/secret")
    assert ended(f"-f {objects} --settings {settings} --json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [one["modelKnown"] for one in found] == [True, False]
    assert ended(f"-f {objects} --settings {settings}") == 0
    text = capsys.readouterr().out
    assert "Qwen/Qwen3-8B on 1 x big, vLLM 0.32.0" in text
    assert "team/secret is not among the well-known models" in text
    objects.write_text(OBJECT % "Qwen/Qwen3-8B, trustRemoteCode: true")
    assert ended(f"-f {objects} --settings {settings}") == 1
    assert "Error: spec.model.trustRemoteCode runs code" in capsys.readouterr().out


def test_it_starts_without_what_only_the_operator_needs() -> None:
    """The client, kopf and aiohttp take most of a second."""
    program = (
        "import sys; from llmfleet.__main__ import main; main(['plan', 'Qwen/Qwen3-8B']);"
        "sys.exit(str({'kopf', 'kubernetes', 'aiohttp', 'prometheus_client'} & sys.modules.keys() or ''))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) in {(0, ""), (1, "")}
