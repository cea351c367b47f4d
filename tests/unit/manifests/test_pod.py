"""Parts of the pod that the golden manifests show only as single cases."""

from typing import Any

import pytest

from llmfleet.api.settings import GpuProfile, Settings
from llmfleet.engine.version import Version
from llmfleet.manifests import names, probes
from llmfleet.manifests.deployment import render, with_template_hash
from llmfleet.manifests.drain import drain
from llmfleet.manifests.environment import env
from llmfleet.manifests.pod import template
from llmfleet.manifests.resources import resources
from llmfleet.manifests.volumes import pairs
from tests.unit.engine.objects import SETTINGS, deployment


@pytest.mark.parametrize("seconds", [1, 120, 7200])
def test_a_draining_engine_gets_its_time_after_the_endpoint_is_gone(seconds: int) -> None:
    spec = deployment(drain={"timeoutSeconds": seconds}).spec
    steps = drain(spec, Version(0, 28))
    assert (steps.pre_stop, steps.grace) == (10, 10 + seconds + 15)


@pytest.mark.parametrize("seconds", [1, 120, 7200])
def test_an_engine_that_cannot_drain_is_not_told_to_stop_before(seconds: int) -> None:
    spec = deployment(drain={"timeoutSeconds": seconds}).spec
    steps = drain(spec, Version(0, 27, 9))
    assert (steps.pre_stop, steps.grace) == (10 + seconds, 10 + seconds + 15)


@pytest.mark.parametrize("seconds", [10, 11, 100, 1800, 86400])
def test_the_startup_probe_lasts_for_the_budget(seconds: int) -> None:
    probe = probes.startup(deployment(startup={"timeoutSeconds": seconds}).spec, "qwen")
    budget = probe["periodSeconds"] * probe["failureThreshold"]
    assert seconds <= budget < seconds + probe["periodSeconds"]


@pytest.mark.parametrize("seconds", [10, 86400])
def test_a_rollout_is_not_given_up_before_the_start(seconds: int) -> None:
    rendered = render(deployment(startup={"timeoutSeconds": seconds}), SETTINGS)
    assert rendered["spec"]["progressDeadlineSeconds"] > seconds


def test_warm_up_asks_for_the_first_served_name() -> None:
    probe = probes.startup(deployment(model={"servedNames": ["b/x", "a"]}).spec, "qwen")
    assert probe["exec"]["command"][-2:] == ["127.0.0.1:8000", "b/x"]
    assert probes.startup(deployment().spec, "qwen")["exec"]["command"][-1] == "qwen"


def test_the_kubelet_finds_nothing_to_expand_in_the_warm_up() -> None:
    assert "$" not in probes.WARMUP


def values(spec: Any, settings: Settings) -> dict[str, Any]:
    variables = env(spec, settings)
    assert [v["name"] for v in variables] == sorted({v["name"] for v in variables})
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in variables}


def test_the_administrators_environment_wins_over_the_tenants_and_both_over_ours() -> None:
    mine = [{"name": n, "value": "tenant"} for n in ("A", "B", "DO_NOT_TRACK")]
    settings = Settings.parse({"engine": {"extraEnv": {"A": "admin", "VLLM_NO_USAGE_STATS": "0", "HF_TOKEN": "admin"}}})
    found = values(deployment(engine={"env": mine}).spec, settings)
    assert [found[n] for n in ("A", "B", "DO_NOT_TRACK", "VLLM_NO_USAGE_STATS", "HF_TOKEN", "HOME")] == [
        "admin",
        "tenant",
        "tenant",
        "0",
        "admin",
        "/cache",
    ]


def test_a_secret_wins_over_every_value() -> None:
    settings = Settings.parse({"engine": {"extraEnv": {"HF_TOKEN": "admin", "VLLM_API_KEY": "admin"}}})
    spec = deployment(
        model={"tokenSecretRef": {"name": "hf", "key": "t"}}, access={"apiKeySecretRef": {"name": "s", "key": "k"}}
    ).spec
    found = values(spec, settings)
    assert found["HF_TOKEN"] == {"secretKeyRef": {"name": "hf", "key": "t"}}
    assert found["VLLM_API_KEY"] == {"secretKeyRef": {"name": "s", "key": "k"}}


GPU = GpuProfile(name="gpu", memory_gib=80)
CPU = GpuProfile(name="cpu", memory_gib=16, resource_name="")


@pytest.mark.parametrize(
    ("profile", "gpus", "size"), [(GPU, 1, None), (GPU, 2, "2Gi"), (GPU, 8, "8Gi"), (CPU, 1, "1Gi"), (CPU, 2, "2Gi")]
)
def test_shared_memory_grows_with_the_workers(profile: GpuProfile, gpus: int, size: str | None) -> None:
    """A single worker shares nothing on a GPU; on a CPU it is a process beside the engine's."""
    volumes = [v for v, _ in pairs(deployment(gpu={"tensorParallelSize": gpus}), profile)]
    sizes = [v["emptyDir"]["sizeLimit"] for v in volumes if v["name"] == "shm"]
    assert sizes == ([size] if size else [])


def test_every_volume_is_mounted_under_its_name() -> None:
    found = pairs(deployment(source="pvc://claim/a", gpu={"tensorParallelSize": 2}), GPU)
    assert all(volume["name"] == mount["name"] for volume, mount in found)
    assert len({mount["mountPath"] for _, mount in found}) == 4


def test_resources_are_replaced_field_by_field() -> None:
    settings = Settings.parse(
        {
            "gpuProfiles": [
                {
                    "name": "a",
                    "default": True,
                    "memoryGiB": 1,
                    "resourceName": "amd.com/gpu",
                    "resources": {"requests": {"cpu": 4, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
                }
            ]
        }
    )
    profile = settings.gpu_profiles[0]
    spec = deployment(
        resources={"requests": {"cpu": "500m", "ephemeral-storage": "9Gi"}, "limits": {"cpu": 8}},
        gpu={"tensorParallelSize": 2},
    ).spec
    assert resources(spec, profile) == {
        "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "9Gi"},
        "limits": {"memory": "2Gi", "cpu": "8", "amd.com/gpu": "2"},
    }


def test_a_cpu_profile_asks_for_no_device() -> None:
    cpu = SETTINGS.profile("cpu")
    assert cpu is not None
    assert resources(deployment(gpu={"profile": "cpu"}).spec, cpu) == {}


def test_a_missing_profile_cannot_be_rendered() -> None:
    with pytest.raises(LookupError):
        template(deployment(gpu={"profile": "none"}), SETTINGS)


def test_rendering_is_repeatable() -> None:
    assert repr(render(deployment(), SETTINGS)) == repr(render(deployment(), SETTINGS))


def test_the_template_hash_comes_from_the_dry_run_and_the_template_from_the_code() -> None:
    rendered = render(deployment(), SETTINGS)
    hashed = with_template_hash(rendered, {"metadata": {}})
    assert hashed["spec"] == rendered["spec"]
    assert hashed["metadata"]["annotations"].keys() == {names.INPUTS_HASH, names.TEMPLATE_HASH}
    assert rendered["metadata"]["annotations"].keys() == {names.INPUTS_HASH}


def test_the_pods_carry_what_the_selector_looks_for() -> None:
    labels = template(deployment(), SETTINGS)["metadata"]["labels"]
    assert names.selector("qwen").items() <= labels.items()
    assert names.selector_text("qwen") == "llmfleet.io/deployment=qwen"


def test_the_address() -> None:
    assert names.url(deployment()) == "http://qwen.team-a.svc:8000/v1"
