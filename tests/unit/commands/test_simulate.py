"""`llmfleet simulate`: what it prints, in what form, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmfleet.__main__ import main
from llmfleet.commands.simulate_text import WIDTH
from llmfleet.sim import plot
from llmfleet.sim.trace_made import interpolated, poisson

GOLDEN = Path(__file__).parents[2] / "golden" / "simulate"
OBJECT = """
apiVersion: serving.llmfleet.io/v1alpha1
kind: LLMDeployment
metadata: {name: chat}
spec:
  model: {source: meta-llama/Llama-3.1-8B-Instruct}
  engine: {maxModelLen: 8192}
  gpu: {profile: GPU}
  scaling: SCALING
"""
CHAT = interpolated((0, 50, 95, 100), (50, 1000, 4000, 6000), (5, 130, 450, 1000))
SLOW = ("--step-time", "49,0.24,3.5e-4")
"""A tenth of an H200's speed, so that a short trace is enough."""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen minutes of chat at 1.2 requests a second, but 4 in the middle five."""
    path = tmp_path_factory.mktemp("trace") / "requests.csv"
    made = poisson([(0.0, 1.2), (300.0, 4.0), (600.0, 1.2)], span=900.0, lengths=CHAT)
    rows = "".join(f"{at:.3f},{prompt},{output}\n" for at, prompt, output in made)
    path.write_text("arrival_s,input_tokens,output_tokens\n" + rows)
    return path


def written(folder: Path, *, gpu: str = "h200-141gb", scaling: str = "{minReplicas: 1, maxReplicas: 6}") -> Path:
    path = folder / "llmdeployment.yaml"
    path.write_text(OBJECT.replace("GPU", gpu).replace("SCALING", scaling))
    return path


def ended(*arguments: object) -> int:
    return main(["simulate", *map(str, arguments)])


def test_output(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], update_golden: bool) -> None:  # noqa: FBT001
    """On a terminal of 80 columns."""
    assert ended("-f", written(tmp_path), "--trace", trace, *SLOW, "--rules", "static-peak", "--no-advice") == 0
    found = capsys.readouterr().out
    path = GOLDEN / "static-peak.txt"
    if update_golden:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()
    assert max(len(line) for line in found.splitlines()) <= WIDTH


def test_a_missed_objective_ends_with_1_and_says_what_to_do(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One replica at most is too few; what is recommended has more."""
    path = written(tmp_path, scaling="{minReplicas: 1, maxReplicas: 1}")
    assert ended("-f", path, "--trace", trace, *SLOW, "--ttft", 20) == 1
    found = capsys.readouterr().out
    assert max(len(line) for line in found.splitlines()) <= WIDTH
    assert "builtin misses the objective" in found
    assert "Recommended: scaling: {objective: " in found


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_json_has_the_series_and_the_advice(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Enough replicas all the time: exit code 0, and the advice is one that does with less."""
    scaling = "{minReplicas: 6, maxReplicas: 6}"
    assert ended("-f", written(tmp_path, scaling=scaling), "--trace", trace, *SLOW, "--json") == 0
    shown = document(capsys)
    builtin, advice = shown["rules"]["builtin"], shown["advice"]
    assert builtin["objectiveKept"]
    assert builtin["gpuHours"] == pytest.approx(1.5, rel=0.01)
    assert builtin["cost"] == pytest.approx(1.5 * 4.0, rel=0.01)
    assert {tuple(change[1:]) for change in builtin["replicas"]} == {(6, 6, 6)}
    assert len(builtin["samples"]) == 60
    assert advice["objectiveKept"]
    assert advice["gpuHours"] <= builtin["gpuHours"]
    assert len(advice["trials"]) >= 3


def test_the_same_seed_gives_the_same_answer(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def played(seed: int) -> dict[str, Any]:
        ended("-f", written(tmp_path), "--trace", trace, "--json", "--no-advice", "--seed", seed, "--speed", 0.7)
        return document(capsys)

    assert played(3) == played(3)
    assert played(3) != played(4)


def test_another_gpu_has_estimated_step_times(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended("-f", written(tmp_path, gpu="l40s"), "--trace", trace, "--json", "--no-advice")
    assert document(capsys)["stepTime"]["source"].startswith("estimated")
    ended(
        "-f", written(tmp_path), "--trace", trace, "--json", "--no-advice", "--speed", 0.1, "--step-time", "9,0.1,1e-4"
    )
    assert document(capsys)["stepTime"] == {
        "alphaMs": 9,
        "betaMs": 0.1,
        "gammaMs": 1e-4,
        "p": 1.5,
        "source": "as given",
    }


def test_without_scaling_the_replicas_are_held(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, scaling="null")
    path.write_text(path.read_text() + "  replicas: 2\n")
    ended("-f", path, "--trace", trace, "--json", "--no-advice")
    shown = document(capsys)
    assert {change[1] for change in shown["rules"]["builtin"]["replicas"]} == {2}
    assert "no spec.scaling" in shown["notes"][0]


def test_output_writes_a_picture(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "results"
    ended("-f", written(tmp_path), "--trace", trace, "--no-advice", "--output", folder)
    assert (folder / "simulation.txt").read_text() == capsys.readouterr().out
    assert json.loads((folder / "simulation.json").read_text())["name"] == "chat"
    assert (folder / "simulation.svg").read_text().startswith("<?xml")
    assert (folder / "simulation.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_remedy_is_named(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plot, "is_possible", lambda: False)
    assert ended("-f", written(tmp_path), "--trace", trace, "--output", tmp_path / "results") == 1
    assert "pip install 'llmfleet-operator[sim]'" in capsys.readouterr().err


def test_rules_are_listed(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("-f", written(tmp_path), "--trace", trace, "--rules", "list") == 0
    assert capsys.readouterr().out.startswith("builtin")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rules", "best"], "there is no autoscaler 'best': take builtin or one of"),
        (["--step-time", "1,2"], "give three numbers of milliseconds"),
        (["--speed", "0"], "--speed: a rate can be scaled by a factor above 0 only"),
        (["--start-day", "3"], "no request in that time; see --start-day and --days"),
        (["--lengths", "absent.csv"], "no column _rpm"),
    ],
)
def test_what_cannot_be_played_is_named(
    *, options: list[str], message: str, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("-f", written(tmp_path), "--trace", trace, *options) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gpu", "scaling", "message"),
    [
        ("t9", "null", "gpu.profile"),
        ("cpu", "null", "profile has no GPU"),
        ("t4", "null", "does not fit"),
        (
            "mi300x",
            "{maxReplicas: 3}",
            "set the profile's bandwidthGBs and tflops in the settings, or give --step-time",
        ),
    ],
)
def test_an_object_that_cannot_be_played_is_refused(
    *, gpu: str, scaling: str, message: str, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, gpu=gpu, scaling=scaling)
    if gpu == "mi300x":
        settings = tmp_path / "settings.yaml"
        settings.write_text("gpuProfiles: [{name: mi300x, resourceName: amd.com/gpu, memoryGiB: 192}]\n")
        assert ended("-f", path, "--trace", trace, "--settings", settings) == 1
    else:
        assert ended("-f", path, "--trace", trace) == 1
    assert message in capsys.readouterr().err


def test_a_bad_line_of_the_trace_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "requests.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n1,x,2\n")
    assert ended("-f", written(tmp_path), "--trace", path) == 1
    assert "requests.csv:2: 1,x,2 must be" in capsys.readouterr().err
