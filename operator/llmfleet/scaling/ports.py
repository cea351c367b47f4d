"""What the scaling loop needs from outside: who there is, and how to write. The controller provides both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from llmfleet.api.status import Recommendation
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.state import Change


class Conflict(Exception):  # noqa: N818 (the API server's word for it)
    """The object has changed since it was read; the next cycle decides anew."""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One LLMDeployment; another one of the same name has another uid."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRef:
    """One engine pod."""

    name: str
    uid: str
    ip: str
    """Empty until the pod has one."""
    port: int
    ready: bool
    terminating: bool = False
    unschedulable: bool = False
    created_at: float = 0.0
    """Unix time, seconds."""
    started_at: float | None = None
    """Unix time at which the engine's container started; another time is another process."""
    deletion_cost: int = 0
    """What the annotation controller.kubernetes.io/pod-deletion-cost says; 0 where there is none."""
    resource_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What the spec says of the engine, as far as it matters for judging its numbers."""

    max_model_len: int | None = None
    """Tokens; None where the model's configuration decides."""
    max_num_seqs: int | None = None
    """None where vLLM decides."""
    max_num_batched_tokens: int | None = None
    """None where vLLM decides."""
    fp8_kv_cache: bool = False
    """Whether the profile's GPU is known to compute with a KV cache of 8-bit floats."""
    inputs: str = ""
    """Hash of all that the pods were made from; another one means other engines."""
    startup_timeout: float = 1800.0
    """Seconds within which a new replica should be ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What one replica takes."""

    profile: str = ""
    """Name of the GPU profile; empty where the settings have none of that name."""
    gpus: int = 0
    """Devices; 0 for a profile without any."""
    price_per_hour: float | None = None
    """US dollars; None where the profile has no price."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """A pod that was deleted because its engine hung."""

    at: float
    """Unix time."""
    pod: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedObject:
    """One LLMDeployment."""

    ref: ObjectRef
    config: ScalingConfig | None
    """None where replicas are nobody's but the user's: the engines are watched, and nothing is scaled."""
    followed: bool = False
    """Another one writes the replicas (a HorizontalPodAutoscaler, also one on its way out): the engines are watched,
    what the load asks for is worked out for the recommendations, and nothing is written."""
    facts: EngineFacts = EngineFacts()
    hardware: Hardware = Hardware()
    replicas: int
    """spec.replicas as it stands."""
    resource_version: str
    pods: tuple[PodRef, ...]
    replicas_manager: str = ""
    """Field manager that owns spec.replicas, from managedFields."""
    suspended: bool = False
    quota_exceeded: str = ""
    """The cluster's words where it refuses pods: the Deployment's ReplicaFailure condition."""
    demanded: bool = False
    """Requests wait in an activator."""
    wakeable: bool = False
    """An activator answers for the object."""
    history: tuple[Change, ...] = ()
    """What status.scaling.history says; read once, when the object is first seen."""
    replaced: tuple[Replacement, ...] = ()
    """What status.replacements says; read once too."""
    recommended: tuple[Recommendation, ...] = ()
    """What status.recommendations says; read once too."""

    @property
    def holding(self) -> int:
        """Pods that hold a place, and so are paid for: also those that start or drain."""
        return sum(not pod.unschedulable for pod in self.pods)


class Directory(Protocol):
    """Who there is, from caches: asked every few seconds."""

    def objects(self) -> Iterable[WatchedObject]:
        """All objects."""
        ...

    def one(self, ref: ObjectRef) -> WatchedObject | None:
        """One object; None where it is gone."""
        ...

    def asleep_and_asked(self) -> Iterable[WatchedObject]:
        """Those at zero for which requests wait: asked for several times a second."""
        ...


class Actuator(Protocol):
    """The writes. Any error but Conflict is logged and counted, and it is tried again."""

    async def set_replicas(self, ref: ObjectRef, replicas: int, *, resource_version: str) -> None:
        """Write spec.replicas through /scale as field manager `llmfleet-autoscaler`.

        Raises:
            Conflict: the object is no longer at `resource_version`.
        """
        ...

    async def set_deletion_costs(self, ref: ObjectRef, costs: Mapping[PodRef, int]) -> None:
        """Annotate pods of this object. Pods that are gone meanwhile are no error."""
        ...

    async def replace(self, ref: ObjectRef, pod: PodRef) -> None:
        """Delete a pod whose engine hangs, if it is still the one that was seen; its ReplicaSet makes another one.

        Raises:
            Conflict: the pod has changed since, or is gone.
        """
        ...
