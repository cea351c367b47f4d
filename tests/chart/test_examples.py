"""The examples are valid: for the API, for the operator's checks, and for Kubernetes."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine.checks import check
from llmfleet.engine.metrics import KV_USAGE
from tests.chart.chart import CHART, KUBERNETES

EXAMPLES = CHART / "examples"
PROMETHEUS = {"address": "http://prometheus-operated.monitoring.svc:9090"}
"""What the mode KEDA needs; everything else is as the chart has it."""
SETTINGS = Settings.parse(yaml.safe_load((CHART / "values.yaml").read_text())["settings"] | {"prometheus": PROMETHEUS})
APPLIED = sorted(path for path in EXAMPLES.glob("*.yaml") if not path.name.endswith("-values.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("path", APPLIED, ids=lambda path: path.name)
def test_what_is_applied_is_valid(path: Path) -> None:
    first, *others = documents(path)
    first["metadata"]["namespace"] = "default"
    deployment = LLMDeployment.parse(first)
    assert check(deployment, SETTINGS) == []
    assert deployment.spec.model_dump(mode="json", by_alias=True, exclude_unset=True) == first["spec"]
    for other in others:
        kubernetes_validate.validate(other, KUBERNETES, strict=True)


def test_the_autoscaler_of_the_example_acts_on_what_the_adapter_makes() -> None:
    llm, hpa = documents(EXAMPLES / "hpa.yaml")
    (values,) = documents(EXAMPLES / "prometheus-adapter-values.yaml")
    assert hpa["spec"]["scaleTargetRef"] == {
        "apiVersion": llm["apiVersion"],
        "kind": llm["kind"],
        "name": llm["metadata"]["name"],
    }
    made = {rule["name"]["as"] for rule in values["rules"]["custom"]}
    assert {metric["pods"]["metric"]["name"] for metric in hpa["spec"]["metrics"]} == made


def test_the_adapter_takes_either_name_of_the_engine() -> None:
    (values,) = documents(EXAMPLES / "prometheus-adapter-values.yaml")
    rule = values["rules"]["custom"][0]
    in_query = re.search(r'__name__=~"([^"]+)"', rule["metricsQuery"])
    assert in_query
    for name in KV_USAGE:
        assert re.fullmatch(rule["name"]["matches"], name)
        assert re.fullmatch(in_query[1], name)
