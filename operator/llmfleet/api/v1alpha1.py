"""The LLMDeployment as users write it. Every default stands here once and goes from here into the CRD.

The docstring under a field is its text in `kubectl explain`. Bounds are on everything: they are what the API server
refuses, and they keep the cost of the CEL rules within its budget. The larger parts of the spec have files of their own
beside this one: `model.py`, `engine.py`, `cache.py`.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from llmfleet.api.base import ApiModel, Cel, rules
from llmfleet.api.cache import CacheSpec
from llmfleet.api.engine import EngineSpec
from llmfleet.api.model import ModelSpec
from llmfleet.api.network import NetworkPolicySpec
from llmfleet.api.references import Quantity, SecretKeyRef

GROUP = "serving.llmfleet.io"
VERSION = "v1alpha1"
KIND = "LLMDeployment"
PLURAL = "llmdeployments"
PORT = 8000


class GpuSpec(ApiModel):
    """The GPUs of one replica."""

    profile: Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")] = ""
    """A GPU profile of the operator's settings. Empty: the profile marked as default."""
    tensor_parallel_size: Annotated[int, Field(ge=1, le=64)] = 1
    """GPUs over which each layer is split."""
    pipeline_parallel_size: Annotated[int, Field(ge=1, le=64)] = 1
    """Stages over which the layers are spread, on one node; the pod asks for tensorParallelSize times as many GPUs."""

    @property
    def count(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel_size * self.pipeline_parallel_size


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
    HPA = "HPA"
    KEDA = "KEDA"


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
    utilization_percent: Annotated[int, Field(ge=10, le=100)] | None = None
    """Share of a replica's time, in percent, that the requests which arrive may take. Mode Builtin only."""
    ttft_seconds: Annotated[float, Field(ge=0.1, le=600)] | None = None
    """Seconds to the first token that 99 of 100 requests should keep. Where a queue of such prompts would take longer,
    less of a replica's time is used than utilizationPercent says; and the time in which a standing queue should be gone
    changes with it. Mode Builtin only."""


class ScalingSpec(ApiModel):
    """Replicas follow the load between two bounds."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel("self.minReplicas <= self.maxReplicas", "minReplicas must not be above maxReplicas"),
            Cel(
                "self.minReplicas > 0 || self.mode == 'Builtin'",
                "minReplicas 0 needs mode Builtin: the other autoscalers look at metrics of engines, and at zero there "
                "are none that could ask for a replica; set mode to Builtin, or minReplicas to 1",
            ),
        )
    )

    mode: ScalingMode = ScalingMode.BUILTIN
    """Builtin: the operator's own autoscaler, which reads the engines' metrics directly. HPA: a HorizontalPodAutoscaler
    that the operator makes; it needs Prometheus and prometheus-adapter. KEDA: a ScaledObject that the operator makes;
    it needs Prometheus and KEDA."""
    min_replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Fewest replicas. 0: none while nobody asks; requests then wait in the activator until a replica is ready. Only in
    mode Builtin."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    """Most replicas."""
    objective: Objective = Objective.BALANCED
    """Latency keeps more headroom, Throughput less."""
    targets: ScalingTargets = ScalingTargets()
    """Overrides of the objective's targets."""
    scale_down_delay_seconds: Annotated[int, Field(ge=0, le=86400)] = 300
    """How long fewer replicas must have been enough before one is taken away."""
    idle_to_zero_seconds: Annotated[int, Field(ge=1, le=604800)] = 600
    """With minReplicas 0: how long the last replica must have been without any request before it is taken away."""


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
    """Clients must send this key as a bearer token; given to the engine by environment, never read by the operator.
    vLLM asks for it under /v1, /v2 and /inference only: for the rest of its endpoints use networkPolicy."""
    network_policy: NetworkPolicySpec | None = None
    """Who may connect to the engines. Absent: everybody whom the cluster lets."""


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
    cache: CacheSpec = CacheSpec()
    """Where weights and compiled kernels live. Empty: on the node's disk, as long as the pod lives."""
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
    def scaled_by(self) -> ScalingMode | None:
        """Who moves the replicas; None where nobody does but those who write them."""
        scaling = self.spec.scaling
        return None if scaling is None or self.spec.suspend else scaling.mode

    @property
    def may_sleep(self) -> bool:
        """Whether there may be no replica while nobody asks."""
        return (
            self.scaled_by is ScalingMode.BUILTIN
            and self.spec.scaling is not None
            and self.spec.scaling.min_replicas == 0
        )

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
