"""The LLMDeployment as users write it. Every default stands here once and goes from here into the CRD.

The docstring under a field is its text in `kubectl explain`. Bounds are on everything: they are what the API server
refuses, and they keep the cost of the CEL rules within its budget.
"""

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictInt

from llmfleet.api.base import ATOMIC, SET, ApiModel, Cel, Extension, list_map, rules
from llmfleet.api.reserved import RESERVED_ENV_PREFIXES, refused_flags

GROUP = "serving.llmfleet.io"
VERSION = "v1alpha1"
KIND = "LLMDeployment"
PLURAL = "llmdeployments"
PORT = 8000

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
HF_SOURCE = "^(hf://)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"
PVC_SOURCE = "^pvc://[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
COMMIT = "^[0-9a-f]{40}$"


def _cel(value: str | tuple[str, ...] | dict[str, str]) -> str:
    """A CEL literal; JSON is one."""
    return json.dumps(value)


_FLAG = "self.split('=', 2)[0].split('.', 2)[0].replace('_', '-')"
"""CEL: the canonical name of the flag in an argument (`--a_b.c=d` is `--a-b`)."""
_REFUSED = _cel(refused_flags())
_REFUSED_NAMES = _cel(tuple(refused_flags()))
_RESERVED = _cel(RESERVED_ENV_PREFIXES)

Quantity = Annotated[
    str | StrictInt,
    Extension((("x-kubernetes-int-or-string", True),)),
    Cel(
        "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",
        "must be a quantity above zero, such as 4, 500m or 16Gi",
    ),
]
"""A Kubernetes quantity: 4, 500m, 16Gi."""


class SecretKeyRef(ApiModel):
    """One key of a Secret in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")]
    """Name of the Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key inside the Secret."""


class ModelSpec(ApiModel):
    """Which model is served, and where its files come from."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                f"!self.trustRemoteCode || self.source.startsWith('pvc://') || "
                f"(has(self.revision) && self.revision.matches('{COMMIT}'))",
                "trustRemoteCode runs code of the model repository: pin it, set revision to a full 40-character commit",
            ),
            Cel(
                "!self.source.startsWith('pvc://') || !has(self.revision)",
                "revision has no meaning for a pvc:// source: remove it, or put the revision into the path",
            ),
            Cel(
                "!self.source.startsWith('pvc://') || !has(self.tokenSecretRef)",
                "tokenSecretRef has no meaning for a pvc:// source: remove it",
            ),
        )
    )

    source: Annotated[
        str,
        Field(min_length=3, max_length=512),
        Cel(
            f"self.matches('{HF_SOURCE}') || self.matches('{PVC_SOURCE}')",
            "must be hf://ORG/NAME (or ORG/NAME) for a model of the Hugging Face hub, "
            "or pvc://CLAIM/PATH for a directory on a PersistentVolumeClaim of this namespace",
        ),
    ]
    """hf://ORG/NAME (a bare ORG/NAME means the same), or pvc://CLAIM/PATH."""
    revision: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")] | None = (
        None
    )
    """Branch, tag or commit of a hub model. Absent: the repository's main branch."""
    served_names: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$")], ...],
        Field(max_length=8),
        SET,
    ] = ()
    """Names under which requests may ask for the model; the first labels the metrics. Empty: the object's name."""
    token_secret_ref: SecretKeyRef | None = None
    """Hugging Face token for gated models; given to the engine as HF_TOKEN, never read by the operator."""
    trust_remote_code: bool = False
    """Run Python code that the model repository brings along. Needs a revision pinned to a commit."""


class EnvVar(ApiModel):
    """One environment variable of the engine."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
        Cel(
            f"!{_RESERVED}.exists(p, self.startsWith(p))",
            "this environment variable is set by the operator, or would load code or open endpoints: remove it",
            f"self + ' is refused: names that start with ' + "
            f"{_RESERVED}.filter(p, self.startsWith(p))[0] + "
            "' are set by the operator, or would load code or open endpoints'",
        ),
    ]
    """Name; a closed list of prefixes is refused."""
    value: Annotated[str, Field(max_length=4096)] = ""
    """Value, taken literally: $(NAME) is not expanded."""


class Dtype(StrEnum):
    """Type of weights and activations, by vLLM's names."""

    AUTO = "auto"
    HALF = "half"
    BFLOAT16 = "bfloat16"
    FLOAT = "float"


class EngineSpec(ApiModel):
    """How vLLM is run. What is absent is left to vLLM."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!has(self.maxNumSeqs) || !has(self.maxNumBatchedTokens) || "
                "self.maxNumBatchedTokens >= self.maxNumSeqs",
                "maxNumBatchedTokens must be at least maxNumSeqs: vLLM refuses to start otherwise",
            )
        )
    )

    image: Annotated[str, Field(max_length=512, pattern=r"^([a-z0-9][A-Za-z0-9._:/@-]*)?$")] = ""
    """Container image with vLLM. Empty: the default of the operator's settings, which also say what is allowed."""
    dtype: Dtype = Dtype.AUTO
    """Type of weights and activations."""
    quantization: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9_-]*$")] | None = None
    """A quantization method of the vLLM in use, such as fp8 or awq. Absent: what the checkpoint says."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the GPU's memory that vLLM may use, for weights, activations and KV cache together. At 1.0 nothing
    would be left for CUDA graphs and spikes, so it is refused; above 0.95 there is a warning."""
    max_model_len: (
        Annotated[
            StrictInt | Literal["auto"],
            Extension((("x-kubernetes-int-or-string", True),)),
            Cel(
                "type(self) == int ? (self >= 1 && self <= 10485760) : self == 'auto'",
                "must be a number of tokens from 1 to 10485760, or auto (the longest that fits)",
            ),
        ]
        | None
    ) = None
    """Longest sequence in tokens, prompt and answer together, or auto. Absent: what the model's configuration says."""
    max_num_seqs: Annotated[int, Field(ge=1, le=65536)] | None = None
    """Most sequences in one batch. Absent: vLLM's choice for the GPU."""
    max_num_batched_tokens: Annotated[int, Field(ge=1, le=1048576)] | None = None
    """Most tokens in one engine step. Absent: vLLM's choice for the GPU."""
    extra_args: Annotated[
        tuple[
            Annotated[
                str,
                Field(min_length=1, max_length=1024),
                Cel(
                    f"!({_FLAG} in {_REFUSED_NAMES})",
                    "is a flag that a typed field owns, or that is unsafe: remove it",
                    f"{_FLAG} + ' ' + {_REFUSED}[{_FLAG}]",
                ),
            ],
            ...,
        ],
        Field(max_length=64),
        ATOMIC,
        Cel(
            "self.size() == 0 || self[0].startsWith('-')",
            "must start with a flag: each item is one argument, as in ['--enable-prefix-caching', '--seed', '7']",
        ),
    ] = ()
    """More arguments of `vllm serve`, one item each. Flags that a field owns, or that are unsafe, are refused."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64), list_map("name")] = ()
    """Environment variables of the engine. A closed list of prefixes is refused."""


class GpuSpec(ApiModel):
    """The GPUs of one replica."""

    profile: Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")] = ""
    """A GPU profile of the operator's settings. Empty: the profile marked as default."""
    tensor_parallel_size: Annotated[int, Field(ge=1, le=64)] = 1
    """GPUs over which each layer is split; the pod asks for this many."""


class ResourceList(ApiModel):
    """CPU, memory and ephemeral storage. GPUs come from spec.gpu."""

    cpu: Quantity | None = None
    """CPU cores, such as 4 or 500m."""
    memory: Quantity | None = None
    """Main memory, such as 16Gi."""
    ephemeral_storage: Annotated[Quantity | None, Field(alias="ephemeral-storage")] = None
    """Local disk, such as 50Gi."""


class ResourcesSpec(ApiModel):
    """Requests and limits of the engine container. What is absent comes from the GPU profile."""

    requests: ResourceList = ResourceList()
    """What the scheduler reserves."""
    limits: ResourceList = ResourceList()
    """What the container may use at most."""


class ScalingMode(StrEnum):
    """Who moves the replicas."""

    BUILTIN = "Builtin"


class Objective(StrEnum):
    """What the targets are chosen for."""

    LATENCY = "Latency"
    BALANCED = "Balanced"
    THROUGHPUT = "Throughput"


class ScalingTargets(ApiModel):
    """Overrides of the objective's targets."""

    kv_cache_usage_percent: Annotated[int, Field(ge=5, le=95)] | None = None
    """KV-cache usage of a replica, in percent, at which another replica is wanted."""
    waiting_per_replica: Annotated[int, Field(ge=1, le=10000)] | None = None
    """Requests that may wait per replica before another one is wanted."""


class ScalingSpec(ApiModel):
    """Replicas follow the load between two bounds."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel("self.minReplicas <= self.maxReplicas", "minReplicas must not be above maxReplicas"),
        )
    )

    mode: ScalingMode = ScalingMode.BUILTIN
    """Builtin: the operator's own autoscaler, which reads the engines' metrics directly."""
    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Fewest replicas."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    """Most replicas."""
    objective: Objective = Objective.BALANCED
    """Latency keeps more headroom, Throughput less."""
    targets: ScalingTargets = ScalingTargets()
    """Overrides of the objective's targets."""
    scale_down_delay_seconds: Annotated[int, Field(ge=0, le=86400)] = 300
    """How long fewer replicas must have been enough before one is taken away."""


class RolloutSpec(ApiModel):
    """How a changed spec reaches the pods."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "self.maxSurge > 0 || self.maxUnavailable > 0",
                "maxSurge and maxUnavailable must not both be 0: nothing could ever be replaced; "
                "without a spare GPU use maxSurge 0 and maxUnavailable 1",
            )
        )
    )

    max_surge: Annotated[int, Field(ge=0, le=1000)] = 1
    """Replicas above the wanted number during a rollout; each needs free GPUs."""
    max_unavailable: Annotated[int, Field(ge=0, le=1000)] = 0
    """Replicas that may be missing during a rollout. Use maxSurge 0, maxUnavailable 1 without a spare GPU."""


class StartupSpec(ApiModel):
    """From container start to the first answer."""

    timeout_seconds: Annotated[int, Field(ge=10, le=86400)] = 1800
    """How long loading, compiling and warming up may take before the container is started anew."""
    warmup: bool = True
    """A pod is Ready only after one short request has been answered."""


class DrainSpec(ApiModel):
    """The end of a pod."""

    timeout_seconds: Annotated[int, Field(ge=1, le=7200)] = 120
    """How long running requests may take to finish when a pod goes: scale-down, rollout, node drain."""


class AccessSpec(ApiModel):
    """Who may use the endpoint."""

    api_key_secret_ref: SecretKeyRef | None = None
    """Clients must send this key as a bearer token; given to the engine by environment, never read by the operator."""


class LLMDeploymentSpec(ApiModel):
    """The wanted state of a fleet of vLLM servers for one model."""

    model: ModelSpec
    """Which model is served."""
    engine: EngineSpec = EngineSpec()
    """How vLLM is run."""
    gpu: GpuSpec = GpuSpec()
    """The GPUs of one replica."""
    resources: ResourcesSpec = ResourcesSpec()
    """CPU, memory and disk of the engine container."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Wanted replicas. Whoever scales writes it through the scale subresource: a person, an autoscaler."""
    scaling: ScalingSpec | None = None
    """Automatic scaling. Absent: nobody scales but those who write replicas."""
    rollout: RolloutSpec = RolloutSpec()
    """How a changed spec reaches the pods."""
    startup: StartupSpec = StartupSpec()
    """From container start to the first answer."""
    drain: DrainSpec = DrainSpec()
    """The end of a pod."""
    access: AccessSpec = AccessSpec()
    """Who may use the endpoint."""
    suspend: bool = False
    """True: no pods, the spec is kept."""


class ObjectMeta(ApiModel):
    """The part of the metadata that the operator reads."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""


class LLMDeployment(ApiModel):
    """A fleet of vLLM servers for one model."""

    metadata: ObjectMeta
    spec: LLMDeploymentSpec

    @classmethod
    def parse(cls, body: dict[str, Any]) -> "LLMDeployment":
        """Read an object as the API server gives it.

        Raises:
            pydantic.ValidationError: a stored object that today's rules would refuse.
        """
        return cls.model_validate(body)

    @property
    def wanted_replicas(self) -> int:
        """Replicas the Deployment gets: none when suspended, else the wish within the bounds of scaling."""
        spec = self.spec
        if spec.suspend:
            return 0
        if spec.scaling is None:
            return spec.replicas
        return min(max(spec.replicas, spec.scaling.min_replicas), spec.scaling.max_replicas)


OBJECT_RULES = rules(
    Cel(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')",
        "metadata.name also names a Service: use at most 52 lower-case letters, digits and dashes, "
        "starting with a letter",
    )
)
"""Rules at the root of the object."""
