"""What is known against a spec: each check with what it finds and what it lets pass."""

from typing import Any

import pytest

from llmfleet.api.conditions import Reason
from llmfleet.api.reserved import RESERVED_ENV_NAMES, RESERVED_ENV_PREFIXES
from llmfleet.api.settings import Settings
from llmfleet.engine.checks import CHECKS, check
from llmfleet.engine.problem import Problem, Severity
from tests.unit.engine.objects import COMMIT, SETTINGS, deployment

OLD = "vllm/vllm-openai:v{}"


def found(**spec: Any) -> list[Problem]:
    return check(deployment(**spec), SETTINGS)


def image(version: str, **engine: Any) -> dict[str, Any]:
    return engine | {"image": OLD.format(version)}


ERRORS: list[tuple[str, dict[str, Any], Reason, str]] = [
    (
        "source",
        {"source": "gpt2"},
        Reason.NOT_READABLE,
        "none of hf://ORG/NAME, pvc://CLAIM/PATH, s3://BUCKET/PATH and oci://IMAGE#PATH: correct it",
    ),
    ("source of code", {"source": "gpt2", "model": {"trustRemoteCode": True}}, Reason.NOT_READABLE, "correct it"),
    (
        "profile",
        {"gpu": {"profile": "a100"}},
        Reason.PROFILE_NOT_FOUND,
        "There is no GPU profile 'a100' in the operator's settings: set spec.gpu.profile to one of: h100, t4, cpu.",
    ),
    (
        "image",
        {"engine": {"image": "evil/vllm:v0.32.0"}},
        Reason.IMAGE_NOT_ALLOWED,
        "one that matches: vllm/vllm-openai:v0.32.0, vllm/*, own/*.",
    ),
    ("image with a longer path", {"engine": {"image": "x/vllm/y:v0.32.0"}}, Reason.IMAGE_NOT_ALLOWED, "do not allow"),
    (
        "remote code, unpinned",
        {"model": {"trustRemoteCode": True}},
        Reason.FORBIDDEN,
        "set spec.model.revision to a full 40-character commit",
    ),
    ("remote code of a branch", {"model": {"trustRemoteCode": True, "revision": "main"}}, Reason.FORBIDDEN, "commit"),
    (
        "remote code, a commit and more",
        {"model": {"trustRemoteCode": True, "revision": COMMIT + "0"}},
        Reason.FORBIDDEN,
        "commit",
    ),
    (
        "arguments",
        {"engine": {"extraArgs": ["--tensor-par=2", "-qfp8"]}},
        Reason.FORBIDDEN,
        "spec.engine.extraArgs: --tensor-par is read as --tensor-parallel-size",
    ),
    ("pickle", {"engine": {"extraArgs": ["--load-format", "pt"]}}, Reason.FORBIDDEN, "set spec.engine.loadFormat"),
    (
        "environment",
        {"engine": {"env": [{"name": "A"}, {"name": "LD_PRELOAD"}, {"name": "HF_HOME"}]}},
        Reason.FORBIDDEN,
        "spec.engine.env: remove LD_PRELOAD, HF_HOME:",
    ),
    (
        "GPUs",
        {"gpu": {"profile": "t4", "tensorParallelSize": 8}},
        Reason.TOO_MANY_GPUS,
        "asks for 8 GPUs, and a node of the profile t4 has 4: lower spec.gpu.tensorParallelSize",
    ),
    (
        "stages",
        {"gpu": {"profile": "t4", "tensorParallelSize": 2, "pipelineParallelSize": 4}},
        Reason.TOO_MANY_GPUS,
        "asks for 8 GPUs, and a node of the profile t4 has 4",
    ),
    ("image volume", {"source": "oci://registry.example/m:1"}, Reason.MODEL_SOURCE_UNAVAILABLE, "models.imageVolumes"),
    (
        "cache of one node",
        {"cache": {"size": "10Gi"}, "scaling": {"maxReplicas": 4}},
        Reason.CACHE_NOT_SHAREABLE,
        "the access mode ReadWriteOnce, and there may be 4 replicas on different nodes: set spec.cache.accessMode to",
    ),
    (
        "named cache of one node",
        {"cache": {"claimName": "mine"}, "replicas": 2},
        Reason.CACHE_NOT_SHAREABLE,
        "there may be 2 replicas",
    ),
    (
        "KEDA without an address of Prometheus",
        {"scaling": {"mode": "KEDA", "maxReplicas": 4}},
        Reason.SCALING_MODE_UNAVAILABLE,
        "needs prometheus.address in the operator's settings",
    ),
    (
        "flag of a newer version",
        {"engine": image("0.13.0", maxModelLen="auto")},
        Reason.FLAG_UNKNOWN_TO_ENGINE,
        "spec.engine.maxModelLen: auto needs vLLM 0.14.0 or newer, and vllm/vllm-openai:v0.13.0 is vLLM 0.13.0",
    ),
    (
        "argument of a newer version",
        {"engine": image("0.26.0", extraArgs=["--seed=7", "--max-num-queued-reqs=9"])},
        Reason.FLAG_UNKNOWN_TO_ENGINE,
        "--max-num-queued-reqs needs vLLM 0.29.0 or newer; vllm/vllm-openai:v0.26.0 is vLLM 0.26.0",
    ),
    (
        "bfloat16",
        {"gpu": {"profile": "t4"}, "engine": {"dtype": "bfloat16"}},
        Reason.DTYPE_UNSUPPORTED_ON_GPU,
        "the profile t4 has 7.5: set spec.engine.dtype to half",
    ),
]


@pytest.mark.parametrize(("spec", "reason", "words"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_an_error_says_what_to_do(spec: dict[str, Any], reason: Reason, words: str) -> None:
    first = found(**spec)[0]
    assert (first.reason, first.severity) == (reason, Severity.ERROR)
    assert words in first.message


@pytest.mark.parametrize("prefix", RESERVED_ENV_PREFIXES)
def test_every_reserved_prefix_is_refused(prefix: str) -> None:
    assert [p.reason for p in found(engine={"env": [{"name": f"{prefix}X"}]})] == [Reason.FORBIDDEN]


@pytest.mark.parametrize(("name", "is_refused"), [*((name, True) for name in RESERVED_ENV_NAMES), ("CCL_LOG", False)])
def test_a_reserved_name_is_refused_and_what_begins_like_it_is_not(name: str, is_refused: bool) -> None:  # noqa: FBT001
    assert [p.reason for p in found(engine={"env": [{"name": name}]})] == ([Reason.FORBIDDEN] if is_refused else [])


WARNINGS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("memory", {"engine": {"gpuMemoryUtilization": 0.96}}, ["gpuMemoryUtilization 0.96 leaves little"]),
    ("0.27", {"engine": image("0.27.1")}, ["vLLM 0.27.1 does not reliably finish running requests"]),
    ("0.21", {"engine": image("0.21.0")}, ["does not reliably finish"]),
    (
        "0.21 with a key",
        {"engine": image("0.21.0"), "access": {"apiKeySecretRef": {"name": "k", "key": "k"}}},
        ["API key of vLLM 0.21.0 can be passed by", "does not reliably finish"],
    ),
    ("0.17", {"engine": image("0.17.1")}, ["may run code of the model repository", "does not reliably finish"]),
    (
        "a delay longer than an HPA's",
        {"scaling": {"mode": "HPA", "maxReplicas": 4, "scaleDownDelaySeconds": 3601}},
        ["scaleDownDelaySeconds is 3601, and a HorizontalPodAutoscaler looks back 3600 s at most"],
    ),
    ("unknown version", {"engine": {"image": "own/x:latest"}}, ["is not known, and 0.32.0 is assumed"]),
]


@pytest.mark.parametrize(("spec", "words"), [row[1:] for row in WARNINGS], ids=[row[0] for row in WARNINGS])
def test_a_warning_says_what_is_risky(spec: dict[str, Any], words: list[str]) -> None:
    problems = found(**spec)
    assert [(p.reason, p.severity) for p in problems] == [(Reason.VALID_WITH_WARNINGS, Severity.WARNING)] * len(words)
    for problem, word in zip(problems, words, strict=True):
        assert word in problem.message


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"source": "pvc://claim/a", "model": {"trustRemoteCode": True}},
        {"model": {"trustRemoteCode": True, "revision": COMMIT}},
        {"gpu": {"tensorParallelSize": 8}},
        {"source": "Qwen/Qwen3-0.6B", "gpu": {"profile": "t4"}, "engine": {"dtype": "half"}},
        {"gpu": {"profile": "cpu"}, "engine": {"dtype": "bfloat16"}},
        {"engine": {"dtype": "bfloat16", "gpuMemoryUtilization": 0.95, "maxModelLen": "auto"}},
        {"engine": {"image": "vllm/vllm-openai:v0.28.0"}, "access": {"apiKeySecretRef": {"name": "k", "key": "k"}}},
        {"engine": {"env": [{"name": "NCCL_DEBUG"}, {"name": "VLLM_LOGGING_LEVEL"}], "extraArgs": ["--seed=1"]}},
    ],
)
def test_nothing_is_said_against_a_good_spec(spec: dict[str, Any]) -> None:
    assert found(**spec) == []


def test_errors_stand_before_warnings() -> None:
    problems = found(engine=image("0.13.0", maxModelLen="auto"))
    assert [p.severity.value for p in problems] == ["error", "warning", "warning"]


def test_without_profiles_the_administrator_is_named() -> None:
    (problem,) = check(deployment(), Settings())
    assert problem.message.startswith("No GPU profile is the default one")
    assert "administrator has to add gpuProfiles" in problem.message


def test_every_check_finds_something_in_these_tests() -> None:
    """A new check without a row above fails here."""
    specs = [row[1] for row in ERRORS] + [row[1] for row in WARNINGS]
    silent = [judge.__name__ for judge in CHECKS if not any(judge(deployment(**s), SETTINGS) for s in specs)]
    assert silent == []
