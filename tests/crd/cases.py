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
    ("spec", "model", "s3"): {"region": "eu-west-1"},
    ("spec", "model", "s3", "credentialsSecretRef"): {"name": "bucket"},
    ("spec", "engine", "speculative"): {"method": "eagle3", "model": "a/b", "numSpeculativeTokens": 2},
    ("spec", "engine", "chatTemplate"): {"name": "templates", "key": "a.jinja"},
    ("spec", "engine", "lora"): {"adapters": [{"name": "a", "source": "a/b"}]},
    ("spec", "engine", "lora", "adapters", "[]"): {"name": "a", "source": "a/b"},
    ("spec", "cache"): {"size": "1Gi"},
    ("spec", "access", "apiKeySecretRef"): {"name": "key", "key": "api-key"},
    ("spec", "access", "networkPolicy", "from", "[]"): {},
    ("spec", "engine", "env", "[]"): {"name": "A", "value": "b"},
}
"""What must stand around a value for it to be judged alone."""

S3 = ("spec", "model", "s3")
BUCKET = {"spec": {"model": {"source": "s3://bucket/model"}}}
"""What s3 needs beside it."""
CLAIM_NAME = ("spec", "cache", "claimName")
"""Excludes what stands around the rest of the cache."""

PATTERNS: dict[str, tuple[Any, Any]] = {
    "spec.model.revision": ("-rf", "refs/pr/1"),
    "spec.model.servedNames.[]": ("a b", "team/qwen3:8b"),
    "spec.model.tokenSecretRef.name": ("Hf", "hf.token-1"),
    "spec.model.tokenSecretRef.key": ("a/b", "_Tok.en-1"),
    "spec.access.apiKeySecretRef.name": ("../x", "key"),
    "spec.access.apiKeySecretRef.key": ("$(x)", "api-key"),
    "spec.access.networkPolicy.from.[].namespaceSelector.matchLabels.{}": ("a b", "team-a"),
    "spec.access.networkPolicy.from.[].podSelector.matchLabels.{}": ("-a", ""),
    "spec.engine.image": ("image; rm -rf /", "registry.example:5000/team/vllm@sha256:00"),
    "spec.engine.quantization": ("fp8 --x", "compressed-tensors"),
    "spec.engine.env.[].name": ("A-B", "NCCL_DEBUG"),
    "spec.engine.env.[].value": ("a\0b", "a\nb"),
    "spec.engine.extraArgs.[]": ("--a=\0", "--a= "),
    "spec.model.architecture": ("gpt2", "Qwen/Qwen3-8B"),
    "spec.model.s3.credentialsSecretRef.name": ("B", "bucket"),
    "spec.model.s3.endpoint": ("minio", "https://minio.storage.svc:9000"),
    "spec.model.s3.region": ("EU", "eu-west-1"),
    "spec.engine.kvCacheDtype": ("fp8 --x", "fp8_e4m3"),
    "spec.engine.speculative.method": ("-x", "draft_model"),
    "spec.engine.speculative.model": ("../x", "hf://a/b"),
    "spec.engine.toolCallParser": ("--x", "llama3_json"),
    "spec.engine.reasoningParser": ("a b", "deepseek_r1"),
    "spec.engine.chatTemplate.name": ("T", "templates"),
    "spec.engine.chatTemplate.key": ("../x", "qwen3.jinja"),
    "spec.engine.lora.adapters.[].name": ("a b", "sql"),
    "spec.cache.claimName": ("Mine", "mine"),
    "spec.cache.storageClassName": ("Fast", "fast"),
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
    ("revision has a meaning", {"spec": {"model": {"source": "pvc://c/m", "revision": "main"}}}, "remove it"),
    (
        "tokenSecretRef has a meaning",
        {"spec": {"model": {"source": "pvc://c/m", "tokenSecretRef": {"name": "a", "key": "b"}}}},
        "remove it",
    ),
    ("must be hf://ORG/NAME", {"spec": {"model": {"source": "s3://b"}}}, "s3://BUCKET/PATH for a bucket"),
    ("must be hf://ORG/NAME", {"spec": {"model": {"source": "oci://m#../x"}}}, "oci://IMAGE#PATH"),
    (
        "trustRemoteCode runs",
        {"spec": {"model": {"source": "s3://bucket/m", "trustRemoteCode": True}}},
        "a bucket cannot be pinned",
    ),
    (
        "trustRemoteCode runs",
        {"spec": {"model": {"source": "oci://registry.example/m:1", "trustRemoteCode": True}}},
        "the digest of the image",
    ),
    ("s3 has a meaning", {"spec": {"model": HUB | {"s3": {"region": "eu-west-1"}}}}, "remove it"),
    (
        "model is missing",
        {"spec": {"engine": {"speculative": {"method": "eagle3", "numSpeculativeTokens": 2}}}},
        "only the methods ngram, mtp and suffix",
    ),
    (
        "must be hf://ORG/NAME (or ORG/NAME), or pvc",
        {"spec": {"engine": {"lora": {"adapters": [{"name": "a", "source": "s3://bucket/a"}]}}}},
        "or pvc://CLAIM/PATH",
    ),
    (
        "must be 1, 8, 16",
        {"spec": {"engine": {"lora": {"adapters": [{"name": "a", "source": "a/b"}], "maxRank": 20}}}},
        "must be 1, 8, 16, 32",
    ),
    (
        "without chunkedPrefill",
        {"spec": {"engine": {"chunkedPrefill": False, "maxNumBatchedTokens": 2048, "maxModelLen": 4096}}},
        "at least maxModelLen",
    ),
    ("claimName and size", {"spec": {"cache": {"claimName": "c", "size": "1Gi"}}}, "exclude each other"),
    ("storageClassName needs", {"spec": {"cache": {"storageClassName": "fast"}}}, "needs size"),
    ("perReplica needs", {"spec": {"cache": {"perReplica": True}}}, "a volume of its own"),
    (
        "perReplica needs",
        {"spec": {"cache": {"perReplica": True, "size": "1Gi", "accessMode": "ReadWriteMany"}}},
        "no accessMode ReadWriteMany",
    ),
    ("must be a quantity above zero", {"spec": {"cache": {"size": "much"}}}, "such as 4, 500m or 16Gi"),
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
        "this environment variable is set",
        {"spec": {"engine": {"env": [{"name": "CC", "value": "/x"}]}}},
        "CC is refused: names that start with CC",
    ),
    (
        "is a flag that a typed field owns",
        {"spec": {"engine": {"extraArgs": ["--log-config-file=/models/x.json"]}}},
        "--log-config-file is refused: a logging configuration can name any code to run",
    ),
    *(
        ("must have either ipBlock", {"spec": {"access": {"networkPolicy": {"from": [peer]}}}}, "or both")
        for peer in ({}, {"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}})
    ),
    (
        "must be a network, such as",
        {"spec": {"access": {"networkPolicy": {"from": [{"ipBlock": {"cidr": "10.0.0.0"}}]}}}},
        "such as 10.0.0.0/8",
    ),
    (
        "minReplicas must not be above",
        {"spec": {"scaling": {"minReplicas": 3, "maxReplicas": 2}}},
        "minReplicas must not be above maxReplicas",
    ),
    *(
        (
            "minReplicas 0 needs mode Builtin",
            {"spec": {"scaling": {"mode": mode, "minReplicas": 0, "maxReplicas": 2}}},
            "set mode to Builtin, or minReplicas to 1",
        )
        for mode in ("HPA", "KEDA")
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
    {"spec": {"model": {"source": "s3://models/qwen/qwen3-8b/", "s3": {"endpoint": "http://minio:9000"}}}},
    {"spec": {"model": {"source": "oci://registry.example:5000/m:1.0#models/qwen3"}}},
    {"spec": {"model": {"source": "oci://r.example/m@sha256:" + "0" * 64, "trustRemoteCode": True}}},
    {"spec": {"engine": {"speculative": {"method": "ngram", "numSpeculativeTokens": 4}}}},
    {"spec": {"engine": {"chunkedPrefill": False, "maxNumBatchedTokens": 4096, "maxModelLen": 4096}}},
    {"spec": {"engine": {"chunkedPrefill": False, "maxNumBatchedTokens": 1, "maxModelLen": "auto"}}},
    {"spec": {"cache": {"size": "1Ti", "storageClassName": "fast", "perReplica": True}}},
    {"spec": {"cache": {"claimName": "mine", "accessMode": "ReadWriteMany"}}},
    {"spec": {"access": {"networkPolicy": {}}}},
    {
        "spec": {
            "access": {
                "networkPolicy": {
                    "from": [
                        {"podSelector": {}},
                        {
                            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "apps"}},
                            "podSelector": {},
                        },
                        {"ipBlock": {"cidr": "10.0.0.0/8"}},
                        {"ipBlock": {"cidr": "2001:db8::/32"}},
                    ]
                }
            }
        }
    },
    {"spec": {"engine": {"maxModelLen": "auto"}}},
    {"spec": {"engine": {"maxModelLen": 1}}},
    {"spec": {"engine": {"maxModelLen": 10485760}}},
    {"spec": {"engine": {"maxNumSeqs": 256, "maxNumBatchedTokens": 256}}},
    {"spec": {"engine": {"extraArgs": ["--async-scheduling", "--seed", "7", "--compilation-config.mode=3"]}}},
    {
        "spec": {
            "engine": {"env": [{"name": "NCCL_DEBUG", "value": "INFO"}, {"name": "VLLM_LOGGING_LEVEL", "value": ""}]}
        }
    },
    {"spec": {"rollout": {"maxSurge": 0, "maxUnavailable": 1}}},
    {"spec": {"scaling": {"minReplicas": 2, "maxReplicas": 2}}},
    {"spec": {"scaling": {"maxReplicas": 2, "targets": {"utilizationPercent": 75, "ttftSeconds": 2}}}},
    {"spec": {"scaling": {"maxReplicas": 2, "targets": {"ttftSeconds": 0.5}}}},
    {"spec": {"scaling": {"minReplicas": 0, "maxReplicas": 1, "idleToZeroSeconds": 60}}},
    {"spec": {"scaling": {"mode": "HPA", "maxReplicas": 2}}},
    {"spec": {"scaling": {"mode": "KEDA", "maxReplicas": 2}}},
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
        value = [value] if step == "[]" else {"key" if step == "{}" else step: value}
        base = {} if path == CLAIM_NAME else BASES.get(path[:depth], {})
        value = merged(base, value) if isinstance(value, dict) else value
    around: dict[str, Any] = BUCKET if path[: len(S3)] == S3 else {}
    result: dict[str, Any] = merged(around, value)
    return result


def beyond(constraint: Constraint) -> Any:
    """A value just outside a numeric bound, a length, a count or an enum."""
    outside: dict[str, Callable[[Any], Any]] = {
        "minimum": lambda bound: bound if constraint.exclusive else bound - 1,
        "maximum": lambda bound: bound if constraint.exclusive else bound + 1,
        "minLength": lambda bound: "a" * (bound - 1),
        "maxLength": lambda bound: "a" * (bound + 1),
        "maxItems": lambda bound: items(constraint.path, bound + 1),
        "maxProperties": lambda bound: {f"k{index}": "" for index in range(bound + 1)},
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
        "maxProperties": lambda bound: {f"k{index}": "" for index in range(bound)},
        "enum": lambda values: values[-1],
    }
    return inside[constraint.keyword](constraint.value)


def items(path: tuple[str, ...], count: int) -> list[Any]:
    """That many different items of the list at this path."""
    if path[-1] == "env":
        return [{"name": f"A{index}"} for index in range(count)]
    if path[-1] == "from":
        return [{"podSelector": {}}] * count
    if path[-1] == "adapters":
        return [{"name": f"a{index}", "source": "a/b"} for index in range(count)]
    if path[-1] == "extraArgs":
        return [f"--flag-{index}" for index in range(count)]
    return [f"n{index}" for index in range(count)]
