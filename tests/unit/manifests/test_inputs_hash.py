"""What moves the inputs hash, found by walking the models: a field that is added later cannot be forgotten."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from llmfleet.api.settings import GpuProfile, Settings
from llmfleet.api.v1alpha1 import LLMDeployment, LLMDeploymentSpec
from llmfleet.manifests.hashing import inputs_hash
from tests.unit.engine.objects import deployment

VALUES: dict[str, Any] = {
    "model.source": "hf://other/model",
    "model.revision": "v2",
    "model.servedNames": ["other"],
    "model.tokenSecretRef.name": "other",
    "model.tokenSecretRef.key": "other",
    "model.s3.credentialsSecretRef.name": "other",
    "model.s3.endpoint": "https://other",
    "model.s3.region": "eu-west-1",
    "model.trustRemoteCode": True,
    "engine.image": "vllm/vllm-openai:v0.31.0",
    "engine.dtype": "half",
    "engine.quantization": "awq",
    "engine.gpuMemoryUtilization": 0.8,
    "engine.maxModelLen": "auto",
    "engine.maxNumSeqs": 7,
    "engine.maxNumBatchedTokens": 7,
    "engine.kvCacheDtype": "fp8",
    "engine.prefixCaching": False,
    "engine.chunkedPrefill": False,
    "engine.speculative.method": "ngram",
    "engine.speculative.model": "other/model",
    "engine.speculative.numSpeculativeTokens": 3,
    "engine.toolCallParser": "hermes",
    "engine.reasoningParser": "qwen3",
    "engine.chatTemplate.name": "other",
    "engine.chatTemplate.key": "other",
    "engine.lora.adapters": [{"name": "b", "source": "a/b"}],
    "engine.lora.maxLoras": 7,
    "engine.lora.maxRank": 64,
    "engine.loadFormat": "runai_streamer",
    "engine.extraArgs": ["--seed=7"],
    "engine.env": [{"name": "A", "value": "2"}],
    "gpu.profile": "other",
    "gpu.tensorParallelSize": 2,
    "gpu.pipelineParallelSize": 2,
    "cache.claimName": "mine",
    "cache.size": "7Gi",
    "cache.storageClassName": "fast",
    "cache.accessMode": "ReadWriteMany",
    "cache.perReplica": True,
    "resources.requests.cpu": "7",
    "resources.requests.memory": "7Gi",
    "resources.requests.ephemeral-storage": "7Gi",
    "resources.limits.cpu": "7",
    "resources.limits.memory": "7Gi",
    "resources.limits.ephemeral-storage": "7Gi",
    "rollout.maxSurge": 2,
    "rollout.maxUnavailable": 2,
    "startup.timeoutSeconds": 77,
    "startup.warmup": False,
    "drain.timeoutSeconds": 77,
    "access.apiKeySecretRef.name": "other",
    "access.apiKeySecretRef.key": "other",
    "suspend": True,
}
"""Every field that goes into a pod, with a value that is not the base's."""
BASE: dict[str, Any] = {
    "model": {"tokenSecretRef": {"name": "a", "key": "a"}, "s3": {"credentialsSecretRef": {"name": "a"}}},
    "access": {"apiKeySecretRef": {"name": "a", "key": "a"}},
    "engine": {
        "env": [{"name": "A", "value": "1"}],
        "speculative": {"method": "eagle3", "model": "a/b", "numSpeculativeTokens": 2},
        "chatTemplate": {"name": "a", "key": "a"},
        "lora": {"adapters": [{"name": "a", "source": "a/b"}]},
    },
}
PROFILE: dict[str, Any] = {"name": "h100", "default": True, "memoryGiB": 80}
SETTINGS = Settings.parse({"gpuProfiles": [PROFILE, {"name": "other", "memoryGiB": 80}]})
NOT_IN_PODS = ("replicas", "scaling.", "model.architecture", "access.networkPolicy.")


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The path of every field that is not itself a model; a list is one field."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        kinds = [k for k in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(k, type)]
        below = next((kind for kind in kinds if issubclass(kind, BaseModel)), None)
        if below is None or getattr(field.annotation, "__origin__", None) is tuple:
            yield path
        else:
            yield from leaves(below, f"{path}.")


def changed(path: str, value: Any) -> LLMDeployment:
    body: dict[str, Any] = deployment(**BASE).model_dump(mode="json", by_alias=True)
    at = body["spec"]
    *parents, last = path.split(".")
    for step in parents:
        at = at[step]
    assert at.get(last) != value
    at[last] = value
    return LLMDeployment.parse(body)


def test_every_field_of_a_pod_has_a_value_here() -> None:
    assert {path for path in leaves(LLMDeploymentSpec) if not path.startswith(NOT_IN_PODS)} == VALUES.keys()


@pytest.mark.parametrize("path", VALUES)
def test_every_field_of_a_pod_moves_the_hash(path: str) -> None:
    assert inputs_hash(changed(path, VALUES[path]), SETTINGS) != inputs_hash(deployment(**BASE), SETTINGS)


def test_replicas_and_scaling_do_not() -> None:
    scaling = {"minReplicas": 2, "maxReplicas": 9, "objective": "Latency", "targets": {"waitingPerReplica": 3}}
    assert inputs_hash(deployment(**BASE, replicas=7, scaling=scaling), SETTINGS) == inputs_hash(
        deployment(**BASE), SETTINGS
    )


@pytest.mark.parametrize("base", [{}, BASE], ids=["alone", "beside a key"])
def test_a_network_policy_does_not(base: dict[str, Any]) -> None:
    guarded = base | {"access": base.get("access", {}) | {"networkPolicy": {"from": [{"podSelector": {}}]}}}
    assert inputs_hash(deployment(**guarded), SETTINGS) == inputs_hash(deployment(**base), SETTINGS)


def test_a_default_that_is_written_out_is_no_change() -> None:
    assert inputs_hash(deployment(gpu={"tensorParallelSize": 1}, suspend=False), SETTINGS) == inputs_hash(
        deployment(), SETTINGS
    )


def test_the_hash_is_the_same_for_ever() -> None:
    """Another value here means that an upgrade of the operator rolls every fleet: a new API version would be due."""
    frozen = deployment(
        model={"tokenSecretRef": {"name": "a", "key": "a"}},
        access={"apiKeySecretRef": {"name": "a", "key": "a"}},
        engine={"env": [{"name": "A", "value": "1"}]},
        gpu={"tensorParallelSize": 2},
    )
    assert inputs_hash(frozen, SETTINGS) == "92783de042e98234"


USED: dict[str, Any] = {
    "resourceName": "amd.com/gpu",
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a"}],
    "resources": {"requests": {"cpu": "1"}},
}
UNUSED: dict[str, Any] = {
    "memoryGiB": 40,
    "computeCapability": "8.0",
    "bandwidthGBs": 300,
    "tflops": 121,
    "gpusPerNode": 4,
    "pricePerHour": 9,
}


def with_profile(**fields: Any) -> Settings:
    return Settings.parse({"gpuProfiles": [PROFILE | fields]})


def test_every_field_of_a_profile_is_judged() -> None:
    fields = {field.alias or name for name, field in GpuProfile.model_fields.items()}
    assert fields == {"name", "default"} | USED.keys() | UNUSED.keys()


@pytest.mark.parametrize("field", USED)
def test_what_a_pod_takes_from_its_profile_moves_the_hash(field: str) -> None:
    assert inputs_hash(deployment(), with_profile(**{field: USED[field]})) != inputs_hash(deployment(), SETTINGS)


@pytest.mark.parametrize("field", UNUSED)
def test_the_rest_of_the_profile_does_not(field: str) -> None:
    assert inputs_hash(deployment(), with_profile(**{field: UNUSED[field]})) == inputs_hash(deployment(), SETTINGS)


@pytest.mark.parametrize(
    ("engine", "moves"),
    [
        ({"defaultImage": "vllm/vllm-openai:v0.33.0"}, True),
        ({"versions": {"vllm/*": "0.20.0"}}, True),
        ({"imagePullPolicy": "Always"}, True),
        ({"extraEnv": {"HF_ENDPOINT": "https://hub.example"}}, True),
        ({"allowedImages": ["*"]}, False),
        ({"versions": {"other/*": "0.20.0"}}, False),
    ],
)
def test_settings_of_the_engine(engine: dict[str, Any], moves: bool) -> None:  # noqa: FBT001 - a table
    profiles = [profile.model_dump(by_alias=True) for profile in SETTINGS.gpu_profiles]
    settings = Settings.parse({"engine": engine, "gpuProfiles": profiles})
    assert (inputs_hash(deployment(), settings) != inputs_hash(deployment(), SETTINGS)) is moves


def test_scaling_settings_do_not_move_the_hash() -> None:
    settings = SETTINGS.model_copy(update={"scaling": Settings.parse({"scaling": {"staleAfterSeconds": 9}}).scaling})
    assert inputs_hash(deployment(), settings) == inputs_hash(deployment(), SETTINGS)
