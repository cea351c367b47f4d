"""Golden sentences: what a user sees for each of many wrong specs."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine.checks import check

HERE = Path(__file__).parent / "wrong_specs"
ROOT = Path(__file__).parents[2]
SPECS: list[dict[str, Any]] = yaml.safe_load((HERE / "specs.yaml").read_text())
VOLTA = {"name": "v100", "memoryGiB": 32, "computeCapability": "7.0"}


def settings() -> Settings:
    """The chart's own, and one older GPU."""
    values = yaml.safe_load((ROOT / "charts" / "llmfleet" / "values.yaml").read_text())["settings"]
    return Settings.parse(values | {"gpuProfiles": [*values["gpuProfiles"], VOLTA]})


def sentences(case: dict[str, Any]) -> dict[str, Any]:
    """What is said of one spec."""
    deployment = LLMDeployment.parse({"metadata": {"name": "x", "namespace": "team-a"}, "spec": case["spec"]})
    said = [f"{found.severity} {found.reason}: {found.message}" for found in check(deployment, settings())]
    return {"name": case["name"], "said": said}


class _Dumper(yaml.SafeDumper):
    """Lists are indented under their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)


def test_the_sentences_are_these(update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    found = yaml.dump([sentences(case) for case in SPECS], Dumper=_Dumper, sort_keys=False, width=118)
    path = HERE / "sentences.yaml"
    if update_golden:
        path.write_text(found)
    assert found == path.read_text()


def test_there_are_many() -> None:
    assert len(SPECS) >= 30


@pytest.mark.parametrize("case", SPECS, ids=lambda case: case["name"])
def test_something_is_said_that_helps(case: dict[str, Any]) -> None:
    """Each sentence is one, names what is wrong with its value, and says what to do."""
    (first, *_) = sentences(case)["said"]
    words = first.partition(": ")[2]
    assert words.endswith(".")
    assert any(verb in words for verb in ("set ", "remove", "use ", "choose", "take ", "lower", "leave", "refused"))
