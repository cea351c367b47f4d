"""The administrator's settings: which images and GPUs tenants may use, and how often the autoscaler looks.

One YAML file, camelCase like the API; read once at start, passed on by argument. Unknown keys are errors here (the
administrator is told of a typo), unlike in stored objects.
"""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from llmfleet.api.references import DNS_LABEL
from llmfleet.api.v1alpha1 import ResourcesSpec


class SettingsModel(BaseModel):
    """camelCase, immutable, strict about unknown keys."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", use_attribute_docstrings=True
    )


class EngineSettings(SettingsModel):
    """Which engine images tenants may run."""

    default_image: str = "vllm/vllm-openai:v0.32.0"
    """Image of every LLMDeployment that names none; always allowed."""
    allowed_images: list[str] = []
    """Shell-style patterns (*, ?, [..]) on the whole image reference; what none matches is refused."""
    versions: dict[str, str] = {}
    """Pattern -> vLLM version, for images whose tag is not a version."""
    image_pull_policy: str = Field(default="IfNotPresent", pattern="^(Always|IfNotPresent|Never)$")
    """Pull policy of the engine container."""
    extra_env: dict[str, str] = {}
    """Environment of every engine, such as a proxy."""

    def allows(self, image: str) -> bool:
        """Whether tenants may run this image."""
        return image == self.default_image or any(fnmatchcase(image, pattern) for pattern in self.allowed_images)


class Toleration(SettingsModel):
    """A toleration as in a pod."""

    key: str = ""
    operator: str = Field(default="Equal", pattern="^(Equal|Exists)$")
    value: str = ""
    effect: str = Field(default="", pattern="^(NoSchedule|PreferNoSchedule|NoExecute)?$")
    toleration_seconds: int | None = None


class GpuProfile(SettingsModel):
    """A kind of GPU (or, with an empty resourceName, of CPU node) that tenants may choose by name."""

    name: Annotated[str, Field(max_length=63, pattern=DNS_LABEL.replace("[-a-z0-9]", "[-a-z0-9.]"))]
    """What spec.gpu.profile names."""
    default: bool = False
    """Used where spec.gpu.profile is empty; at most one profile."""
    resource_name: str = "nvidia.com/gpu"
    """Extended resource that a pod asks for; empty for nodes without accelerators."""
    memory_gib: Annotated[float, Field(gt=0, alias="memoryGiB")]
    """Memory of one GPU in GiB, as the driver reports it."""
    compute_capability: Annotated[str, Field(pattern=r"^([0-9]+\.[0-9])?$")] = ""
    """CUDA compute capability, such as 9.0; empty where it has no meaning."""
    bandwidth_gbs: Annotated[float | None, Field(gt=0, le=1_000_000, alias="bandwidthGBs")] = None
    """Memory bandwidth of one GPU in GB/s, from its data sheet. From it and `tflops` the autoscaler works out how fast
    an engine should be, before it has seen one; without them it learns that from the engines alone."""
    tflops: Annotated[float | None, Field(gt=0, le=1_000_000)] = None
    """Dense 16-bit TFLOP/s of one GPU's tensor cores, from its data sheet."""
    gpus_per_node: Annotated[int, Field(ge=1)] = 8
    """GPUs of one node: the most that a replica can have."""
    node_selector: dict[str, str] = {}
    """Node labels."""
    tolerations: list[Toleration] = []
    """Tolerations of the engine pods."""
    price_per_hour: Annotated[float, Field(ge=0)] | None = None
    """Price of one GPU for one hour, in US dollars; absent: nothing is said of cost."""
    resources: ResourcesSpec = ResourcesSpec()
    """CPU, memory and disk of the engine container where the object states none; of the pod, not of each GPU."""


class HubSettings(SettingsModel):
    """How engines reach the Hugging Face hub."""

    endpoint: str = Field(default="", pattern="^(https?://[^ ]+)?$")
    """URL of a mirror; empty: the hub itself."""
    offline: bool = False
    """Engines never ask the hub: models come from their cache, claims, buckets or images."""


class ModelSettings(SettingsModel):
    """Where models may come from."""

    hub: HubSettings = HubSettings()
    """The Hugging Face hub."""
    image_volumes: bool = False
    """The cluster mounts OCI images as volumes (Kubernetes 1.35, or the feature gate ImageVolume before), so that oci://
    sources can be used."""


class ScalingSettings(SettingsModel):
    """How often the autoscaler looks and decides."""

    scrape_period_seconds: Annotated[float, Field(gt=0)] = 5
    """Seconds between two looks at an engine's metrics."""
    scrape_timeout_seconds: Annotated[float, Field(gt=0)] = 2
    """Seconds after which an engine's answer is given up."""
    decision_period_seconds: Annotated[float, Field(gt=0)] = 5
    """Seconds between two decisions."""
    stale_after_seconds: Annotated[float, Field(gt=0)] = 20
    """Age in seconds from which a replica's metrics no longer count."""


Namespace = Annotated[str, Field(max_length=63, pattern=DNS_LABEL)]


class NetworkSettings(SettingsModel):
    """Whom each spec.access.networkPolicy lets to the engines, beside its own peers."""

    operator_namespace: Namespace | None = None
    """Where the operator runs, which reads the engines' metrics. Absent: where it finds itself."""
    monitoring_namespaces: list[Namespace] = []
    """Where Prometheus runs."""


class HangSettings(SettingsModel):
    """Engines that hang: requests in flight, and no step."""

    grace_seconds: Annotated[float, Field(gt=0)] = 120
    """Seconds without an engine step, with requests in flight, from which an engine is suspected; or twice the longest
    prefill, if that is longer."""
    replacements_per_hour: Annotated[int, Field(ge=0, le=5)] = 3
    """Most pods of one LLMDeployment that are replaced in an hour because their engine hangs; 0: none, hangs are only
    told."""
    cluster_replacements_per_hour: Annotated[int, Field(ge=0, le=1000)] = 10
    """The same for all LLMDeployments together."""


class PrometheusSettings(SettingsModel):
    """The Prometheus that scrapes the engines."""

    address: str = Field(default="", max_length=512, pattern="^(https?://[^ ]+)?$")
    """URL at which KEDA asks it, such as http://prometheus-operated.monitoring.svc:9090; empty: spec.scaling.mode KEDA
    is refused. It must scrape the engines with the labels namespace, pod and llmfleet_io_deployment (of the pods' label
    llmfleet.io/deployment) on each series, `up` too, as the chart's PodMonitor does."""


class ActivatorSettings(SettingsModel):
    """What holds requests for LLMDeployments at zero, and how many."""

    first_port: Annotated[int, Field(ge=1024, le=65535)] = 20000
    """First of the ports at which activators listen, one for each LLMDeployment with spec.scaling.minReplicas 0."""
    ports: Annotated[int, Field(ge=1, le=10000)] = 1000
    """How many there are: as many LLMDeployments may have minReplicas 0."""
    requests_per_object: Annotated[int, Field(ge=1, le=100000)] = 500
    """Most requests that one activator holds for one LLMDeployment; what is more is answered 503."""
    requests: Annotated[int, Field(ge=1, le=100000)] = 2000
    """The same for all LLMDeployments together."""
    body_mib: Annotated[float, Field(gt=0, le=1024, alias="bodyMiB")] = 8
    """Largest body of a request in MiB; a larger one is answered 413."""
    held_mib: Annotated[float, Field(gt=0, le=65536, alias="heldMiB")] = 128
    """Bodies in MiB that one activator holds at most, all requests together; what is more is answered 503."""
    hold_seconds: Annotated[float, Field(gt=0, le=86400)] = 600
    """How long a request is held, or half as long again as the last start took, if that is longer; then it is answered
    503."""

    @model_validator(mode="after")
    def _ports_exist(self) -> Self:
        if self.first_port + self.ports > 65536:  # noqa: PLR2004 - ports end there
            raise ValueError("activator: firstPort and ports go beyond 65535")
        return self


class Settings(SettingsModel):
    """The whole file."""

    engine: EngineSettings = EngineSettings()
    """Engine images."""
    models: ModelSettings = ModelSettings()
    """Model sources."""
    gpu_profiles: list[GpuProfile] = []
    """Kinds of GPU."""
    scaling: ScalingSettings = ScalingSettings()
    """The autoscaler's periods."""
    network: NetworkSettings = NetworkSettings()
    """Who may always connect to the engines."""
    hangs: HangSettings = HangSettings()
    """Engines that hang."""
    activator: ActivatorSettings = ActivatorSettings()
    """What holds requests for LLMDeployments at zero."""
    prometheus: PrometheusSettings = PrometheusSettings()
    """The Prometheus that scrapes the engines."""

    @model_validator(mode="after")
    def _profiles_are_told_apart(self) -> Self:
        names = [profile.name for profile in self.gpu_profiles]
        if len(names) != len(set(names)):
            raise ValueError("gpuProfiles: each name may stand only once")
        if sum(profile.default for profile in self.gpu_profiles) > 1:
            raise ValueError("gpuProfiles: at most one profile may be the default")
        return self

    @classmethod
    def parse(cls, document: dict[str, Any] | None) -> "Settings":
        """Read the file's content.

        Raises:
            pydantic.ValidationError: a value out of bounds, or an unknown key.
        """
        return cls.model_validate(document or {})

    def at_home(self, namespace: str) -> "Settings":
        """The settings with the operator's own namespace, where they do not name it."""
        network = self.network
        if network.operator_namespace is None:
            network = network.model_copy(update={"operator_namespace": namespace})
        return self.model_copy(update={"network": network})

    def profile(self, name: str) -> GpuProfile | None:
        """The profile of that name, or the default for an empty name; None where there is none."""
        matches = (p for p in self.gpu_profiles if (p.name == name if name else p.default))
        return next(matches, None)
