"""The accept/reject table: for each constraint of the CRD a value that breaks it, and the words of the refusal.

Numeric bounds, lengths and counts are derived from the schema (one beyond is refused, the bound itself accepted); what
cannot be derived (patterns and rules) stands here by hand.
"""

from typing import TYPE_CHECKING, Any

from tests.crd.schema_walk import Constraint

if TYPE_CHECKING:
    from collections.abc import Callable

COMMIT = "9c925d64d72725edaf899c6cb9c377fd0709d9c5"
HUB = {"source": "Qwen/Qwen3-8B"}
SCALING = {"maxReplicas": 1000}

BASES: dict[tuple[str, ...], Any] = {
    ("spec", "scaling"): SCALING,
    ("spec", "model", "tokenSecretRef"): {"name": "hf", "key": "token"},
    ("spec", "access", "apiKeySecretRef"): {"name": "key", "key": "api-key"},
    ("spec", "engine", "env", "[]"): {"name": "A", "value": "b"},
}
"""What must stand around a value for it to be judged alone."""

PATTERNS: dict[str, tuple[Any, Any]] = {
    "spec.model.revision": ("-rf", "refs/pr/1"),
    "spec.model.servedNames.[]": ("a b", "team/qwen3:8b"),
    "spec.model.tokenSecretRef.name": ("Hf", "hf.token-1"),
    "spec.model.tokenSecretRef.key": ("a/b", "_Tok.en-1"),
    "spec.access.apiKeySecretRef.name": ("../x", "key"),
    "spec.access.apiKeySecretRef.key": ("$(x)", "api-key"),
    "spec.engine.image": ("image; rm -rf /", "registry.example:5000/team/vllm@sha256:00"),
    "spec.engine.quantization": ("fp8 --x", "compressed-tensors"),
    "spec.engine.env.[].name": ("A-B", "NCCL_DEBUG"),
    "spec.gpu.profile": ("H100_80", "h100-80gb"),
}
"""Field -> (a value that its pattern refuses, one that it accepts)."""

RULES: list[tuple[str, dict[str, Any], str]] = [
    ("metadata.name also names", {"metadata": {"name": "8b-model"}}, "starting with a letter"),
    ("must be hf://ORG/NAME", {"spec": {"model": {"source": "gpt2"}}}, "must be hf://ORG/NAME"),
    ("must be hf://ORG/NAME", {"spec": {"model": {"source": "pvc://claim/../etc"}}}, "must be hf://ORG/NAME"),
    ("must be hf://ORG/NAME", {"spec": {"model": {"source": "--model/x"}}}, "must be hf://ORG/NAME"),
    ("trustRemoteCode runs", {"spec": {"model": HUB | {"trustRemoteCode": True}}}, "set revision to a full"),
    (
        "trustRemoteCode runs",
        {"spec": {"model": HUB | {"trustRemoteCode": True, "revision": "main"}}},
        "set revision to a full",
    ),
    ("revision has no meaning", {"spec": {"model": {"source": "pvc://c/m", "revision": "main"}}}, "remove it"),
    (
        "tokenSecretRef has no meaning",
        {"spec": {"model": {"source": "pvc://c/m", "tokenSecretRef": {"name": "a", "key": "b"}}}},
        "remove it",
    ),
    (
        "maxNumBatchedTokens must be",
        {"spec": {"engine": {"maxNumSeqs": 512, "maxNumBatchedTokens": 256}}},
        "must be at least maxNumSeqs",
    ),
    ("must be a number of tokens", {"spec": {"engine": {"maxModelLen": 0}}}, "or auto"),
    ("must be a number of tokens", {"spec": {"engine": {"maxModelLen": 10485761}}}, "or auto"),
    ("must be a number of tokens", {"spec": {"engine": {"maxModelLen": "32k"}}}, "or auto"),
    (
        "is a flag that a typed field owns",
        {"spec": {"engine": {"extraArgs": ["--seed", "7", "--max_model_len=9"]}}},
        "--max-model-len is owned by a field: set spec.engine.maxModelLen",
    ),
    (
        "is a flag that a typed field owns",
        {"spec": {"engine": {"extraArgs": ["--disable-log-stats"]}}},
        "neither scaling nor hang detection",
    ),
    (
        "is a flag that a typed field owns",
        {"spec": {"engine": {"extraArgs": ["-dp", "2"]}}},
        "changes how many GPUs a replica needs",
    ),
    (
        "is a flag that a typed field owns",
        {"spec": {"engine": {"extraArgs": ["--config", "/models/x.yaml"]}}},
        "--config is refused: a configuration file could set any flag unseen",
    ),
    ("must start with a flag", {"spec": {"engine": {"extraArgs": ["7"]}}}, "must start with a flag"),
    (
        "this environment variable is set",
        {"spec": {"engine": {"env": [{"name": "LD_PRELOAD", "value": "/x.so"}]}}},
        "LD_PRELOAD is refused: names that start with LD_",
    ),
    (
        "minReplicas must not be above",
        {"spec": {"scaling": {"minReplicas": 3, "maxReplicas": 2}}},
        "minReplicas must not be above maxReplicas",
    ),
    (
        "maxSurge and maxUnavailable",
        {"spec": {"rollout": {"maxSurge": 0, "maxUnavailable": 0}}},
        "use maxSurge 0 and maxUnavailable 1",
    ),
    *(
        ("must be a quantity above zero", {"spec": {"resources": {kind: {name: value}}}}, "such as 4, 500m or 16Gi")
        for kind in ("requests", "limits")
        for name, value in (("cpu", "four"), ("memory", "-1Gi"), ("ephemeral-storage", 0))
    ),
]
"""(start of the rule's message, what to merge into a good object, words that the refusal must have)."""

ACCEPTED: list[dict[str, Any]] = [
    {},
    {
        "spec": {
            "model": {"source": "hf://meta-llama/Llama-3.1-8B-Instruct", "revision": COMMIT, "trustRemoteCode": True}
        }
    },
    {"spec": {"model": {"source": "pvc://models"}}},
    {"spec": {"model": {"source": "pvc://models/qwen/3-8b", "trustRemoteCode": True}}},
    {"spec": {"engine": {"maxModelLen": "auto"}}},
    {"spec": {"engine": {"maxModelLen": 1}}},
    {"spec": {"engine": {"maxModelLen": 10485760}}},
    {"spec": {"engine": {"maxNumSeqs": 256, "maxNumBatchedTokens": 256}}},
    {"spec": {"engine": {"extraArgs": ["--enable-prefix-caching", "--seed", "7", "--compilation-config.mode=3"]}}},
    {
        "spec": {
            "engine": {"env": [{"name": "NCCL_DEBUG", "value": "INFO"}, {"name": "VLLM_LOGGING_LEVEL", "value": ""}]}
        }
    },
    {"spec": {"rollout": {"maxSurge": 0, "maxUnavailable": 1}}},
    {"spec": {"scaling": {"minReplicas": 2, "maxReplicas": 2}}},
    {"spec": {"resources": {"requests": {"cpu": 4, "memory": "1024Mi"}, "limits": {"ephemeral-storage": "0.5Gi"}}}},
    {"spec": {"replicas": 0, "suspend": True}},
    {"metadata": {"name": "a" * 52}},
]
"""Objects that users write and that must pass."""


def good(name: str) -> dict[str, Any]:
    """The smallest object that is accepted."""
    return {
        "apiVersion": "serving.llmfleet.io/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name},
        "spec": {"model": dict(HUB)},
    }


def merged(base: Any, change: Any) -> Any:
    """Base with the change laid over it, dict by dict."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    return base | {key: merged(base.get(key), value) for key, value in change.items()}


def placed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """An object that has the value at this path and around it what makes everything else valid."""
    for depth in range(len(path) - 1, -1, -1):
        step = path[depth]
        value = [value] if step == "[]" else {step: value}
        value = merged(BASES.get(path[:depth], {}), value) if isinstance(value, dict) else value
    result: dict[str, Any] = value
    return result


def beyond(constraint: Constraint) -> Any:
    """A value just outside a numeric bound, a length, a count or an enum."""
    outside: dict[str, Callable[[Any], Any]] = {
        "minimum": lambda bound: bound if constraint.exclusive else bound - 1,
        "maximum": lambda bound: bound if constraint.exclusive else bound + 1,
        "minLength": lambda bound: "a" * (bound - 1),
        "maxLength": lambda bound: "a" * (bound + 1),
        "maxItems": lambda bound: items(constraint.path, bound + 1),
        "enum": lambda _: "NoSuchValue",
    }
    return outside[constraint.keyword](constraint.value)


def at(constraint: Constraint) -> Any:
    """The value that is just inside."""
    inside: dict[str, Callable[[Any], Any]] = {
        "minimum": lambda bound: 0.01 if constraint.exclusive else bound,
        "maximum": lambda bound: 0.99 if constraint.exclusive else bound,
        "minLength": lambda bound: "a" * bound,
        "maxLength": lambda bound: "a" * bound,
        "maxItems": lambda bound: items(constraint.path, bound),
        "enum": lambda values: values[-1],
    }
    return inside[constraint.keyword](constraint.value)


def items(path: tuple[str, ...], count: int) -> list[Any]:
    """That many different items of the list at this path."""
    if path[-1] == "env":
        return [{"name": f"A{index}"} for index in range(count)]
    if path[-1] == "extraArgs":
        return [f"--flag-{index}" for index in range(count)]
    return [f"n{index}" for index in range(count)]
