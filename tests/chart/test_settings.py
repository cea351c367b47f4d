"""The settings: what the chart renders the operator reads; what it could not read helm refuses with a clear word."""

from typing import Any

import pytest
import yaml

from llmfleet.api.settings import Settings
from llmfleet.process.settings import FROM_THE_CLUSTER
from tests.chart.chart import CHART, HelmError, manifests, rendered
from tests.chart.test_rendering import CASES, values


def settings(chart_values: dict[str, Any]) -> Settings:
    (config_map,) = (m for m in manifests(chart_values) if m["metadata"]["name"] == "llmfleet-settings")
    return Settings.parse(yaml.safe_load(config_map["data"]["settings.yaml"]))


@pytest.mark.parametrize("case", CASES)
def test_the_operator_reads_what_is_rendered(case: str) -> None:
    assert settings(values(case)).profile("")


def test_the_defaults_pass_unchanged() -> None:
    chart = yaml.safe_load((CHART / "values.yaml").read_text())
    assert settings({}) == Settings.parse(chart["settings"])


def test_the_file_is_found_where_the_command_line_and_the_readme_say() -> None:
    """`llmfleet render` and `plan` name the command to whoever gives them another file."""
    (found,) = (m for m in manifests({}) if m["kind"] == "ConfigMap" and m["metadata"]["name"].endswith("-settings"))
    (key,) = found["data"]
    name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
    assert f"configmap {name} --namespace {namespace} " in FROM_THE_CLUSTER
    assert "{{.data.{}}}".format(key.replace(".", r"\.")) in FROM_THE_CLUSTER
    assert FROM_THE_CLUSTER in (CHART.parents[1] / "README.md").read_text()


def test_the_profiles_of_the_chart() -> None:
    found = settings({})
    names = ["t4", "l4", "l40s", "a10g", "a100-40gb", "a100-80gb", "h100-80gb", "h200-141gb", "b200", "mi300x", "cpu"]
    assert [profile.name for profile in found.gpu_profiles] == names
    assert [profile.name for profile in found.gpu_profiles if profile.default] == ["h100-80gb"]
    resources = {profile.name: profile.resource_name for profile in found.gpu_profiles}
    assert resources.pop("mi300x") == "amd.com/gpu"
    assert resources.pop("cpu") == ""
    assert set(resources.values()) == {"nvidia.com/gpu"}


def test_the_default_image_is_allowed_and_strangers_are_not() -> None:
    engine = settings({}).engine
    assert engine.allows(engine.default_image)
    assert engine.allows("vllm/vllm-openai:v0.33.0")
    assert not engine.allows("vllm/vllm-openai:latest")
    assert not engine.allows("stranger/vllm-openai:v0.33.0")


def test_single_profiles_can_be_changed() -> None:
    before, after = settings({}), settings(values("mixed-gpus"))
    assert after.profile("") == after.profile("l4")
    l4, h100 = after.profile("l4"), after.profile("h100-80gb")
    assert l4
    assert h100
    assert (l4.node_selector, l4.price_per_hour) == ({"nvidia.com/gpu.product": "NVIDIA-L4"}, 0.8)
    assert (h100.gpus_per_node, h100.tolerations, h100.default) == (4, [], False)
    assert after.profile("t4") == before.profile("t4")


def test_falsy_changes_count() -> None:
    changed = settings({"gpuProfileOverrides": {"h100-80gb": {"pricePerHour": 0, "computeCapability": ""}}})
    profile = changed.profile("h100-80gb")
    assert profile
    assert (profile.price_per_hour, profile.compute_capability) == (0, "")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"replica": 1}, "additional properties 'replica' not allowed"),
    ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
    ({"replicas": "2"}, "at '/replicas': got string, want integer"),
    ({"scope": "namespaces"}, "at '/scope': value must be one of 'cluster', 'namespace'"),
    ({"watchNamespaces": "team-a"}, "at '/watchNamespaces': got string, want array"),
    ({"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy': value must be one of"),
    ({"image": {"digest": "sha256:1"}}, "at '/image/digest'"),
    ({"image": {"name": "x"}}, "at '/image': additional properties 'name' not allowed"),
    ({"image": {"repository": None}}, "at '/image': missing property 'repository'"),
    ({"imagePullSecrets": ["registry"]}, "at '/imagePullSecrets/0': got string, want object"),
    ({"rbac": {"aggregate": "yes"}}, "at '/rbac/aggregate': got string, want boolean"),
    ({"networkPolicy": {"metricsFrom": [{}]}}, "at '/networkPolicy/metricsFrom/0'"),
    ({"networkPolicy": {"metricsFrom": [{"labels": {}}]}}, "additional properties 'labels' not allowed"),
    ({"networkPolicy": {"apiServer": {"ports": []}}}, "at '/networkPolicy/apiServer/ports'"),
    ({"networkPolicy": {"apiServer": {"cidrs": ["10.0.0.1"]}}}, "at '/networkPolicy/apiServer/cidrs/0'"),
    ({"logFormat": "yaml"}, "at '/logFormat': value must be one of 'text', 'json'"),
    ({"settings": {"engines": {}}}, "at '/settings': additional properties 'engines' not allowed"),
    ({"settings": {"engine": {"defaultImgae": "x"}}}, "additional properties 'defaultImgae' not allowed"),
    ({"settings": {"engine": {"versions": {"a:*": 0.32}}}}, "at '/settings/engine/versions/a:*': got number"),
    ({"settings": {"scaling": {"scrapePeriodSeconds": 0}}}, "at '/settings/scaling/scrapePeriodSeconds'"),
    ({"settings": {"gpuProfiles": [{"name": "x"}]}}, "missing property 'memoryGiB'"),
    ({"settings": {"gpuProfiles": [{"name": "X", "memoryGiB": 1}]}}, "at '/settings/gpuProfiles/0/name'"),
    (
        {"settings": {"gpuProfiles": [{"name": "x", "memoryGiB": 1, "computeCapability": "sm90"}]}},
        "at '/settings/gpuProfiles/0/computeCapability'",
    ),
    (
        {"settings": {"gpuProfiles": [{"name": "x", "memoryGiB": 1, "resources": {"limits": {"cpus": 1}}}]}},
        "additional properties 'cpus' not allowed",
    ),
    (
        {"settings": {"gpuProfiles": [{"name": "x", "memoryGiB": 1, "tolerations": [{"operator": "Any"}]}]}},
        "at '/settings/gpuProfiles/0/tolerations/0/operator'",
    ),
    ({"gpuProfileOverrides": {"l4": {"default": True}}}, "additional properties 'default' not allowed"),
    ({"gpuProfileOverrides": {"l4": {"memoryGiB": -1}}}, "at '/gpuProfileOverrides/l4/memoryGiB'"),
    ({"gpuProfileOverrides": {"l5": {"gpusPerNode": 1}}}, 'There is no GPU profile "l5" in settings.gpuProfiles'),
    ({"defaultGpuProfile": "l5"}, 'There is no GPU profile "l5" in settings.gpuProfiles, only: t4, l4'),
]


@pytest.mark.parametrize(("wrong", "words"), REFUSED, ids=str)
def test_helm_refuses(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(HelmError) as refusal:
        rendered(wrong)
    assert words in str(refusal.value)
