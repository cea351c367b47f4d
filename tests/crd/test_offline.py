"""The CRD without a cluster: fresh, structural, and of one mind with the models."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from llmfleet.api import crd
from llmfleet.api.conditions import SENTENCES, Reason
from llmfleet.api.v1alpha1 import LLMDeployment
from tests.crd.cases import ACCEPTED, good, merged

ROOT = Path(__file__).parents[2]


def test_generated_files_are_fresh() -> None:
    generated = runpy.run_path(str(ROOT / "operator" / "generate.py"))["files"]()
    stale = [path.name for path, wanted in generated.items() if path.read_text() != wanted]
    assert stale == [], "run `make generate`"


def nodes(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    below = [pair for name, child in schema.get("properties", {}).items() for pair in nodes(child, f"{path}.{name}")]
    inside = nodes(schema["items"], f"{path}[]") if "items" in schema else []
    values = schema.get("additionalProperties")
    mapped = nodes(values, f"{path}[]") if isinstance(values, dict) else []
    return [(path, schema), *below, *inside, *mapped]


def test_every_field_is_described_typed_and_bounded() -> None:
    """A string, list or number without a bound could blow the cost budget of the rules, or the object's size."""
    root = crd.document()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path, node in nodes(root["properties"]["spec"], "spec") + nodes(root["properties"]["status"], "status"):
        kind = node.get("type")
        assert kind or node.get("x-kubernetes-int-or-string"), path
        assert path.endswith("[]") or node.get("description"), f"{path} has no description"
        if kind == "string" and "enum" not in node:
            assert "maxLength" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path
        if kind == "array":
            assert "maxItems" in node, path
            assert "x-kubernetes-list-type" in node, path
        if kind in {"integer", "number"}:
            assert "minimum" in node, path


def test_defaults_stand_in_the_crd_as_in_the_model() -> None:
    spec = crd.document()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    model = LLMDeployment.parse(merged(good("a"), {"metadata": {"namespace": "b"}})).spec.dump()
    assert {name: value for name, value in model.items() if name != "model"} == {
        name: node["default"] for name, node in spec.items() if "default" in node
    }


@pytest.mark.parametrize("change", ACCEPTED, ids=str)
def test_what_the_schema_accepts_the_model_accepts(change: dict[str, Any]) -> None:
    """And nothing of it is lost: the model writes back what it read."""
    body = merged(merged(good("a"), {"metadata": {"namespace": "b"}}), change)
    written = LLMDeployment.parse(body).spec.dump()
    assert merged(written, body["spec"]) == written


def test_a_stored_object_that_is_no_longer_valid_raises() -> None:
    with pytest.raises(ValidationError, match="tensorParallelSize"):
        LLMDeployment.parse(
            merged(good("a"), {"metadata": {"namespace": "b"}, "spec": {"gpu": {"tensorParallelSize": 0}}})
        )


def test_only_int_or_string_unions_can_be_written() -> None:
    class Wrong(BaseModel):
        field: float | bool

    with pytest.raises(TypeError, match="int-or-string"):
        crd.schema_of(Wrong)  # type: ignore[arg-type]


def test_every_reason_is_documented() -> None:
    assert set(SENTENCES) == set(Reason)


def test_the_committed_file_is_one_document() -> None:
    text = (ROOT / "crds" / "llmdeployments.serving.llmfleet.io.yaml").read_text()
    assert yaml.safe_load(text)["spec"]["names"]["shortNames"] == ["llm"]
    assert "&id" not in text
