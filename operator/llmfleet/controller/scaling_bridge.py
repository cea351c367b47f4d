"""What the autoscaler asks of the controller: who there is (from the caches), its writes, and where reports go."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from llmfleet.api.base import ApiModel
from llmfleet.api.conditions import Reason
from llmfleet.api.settings import GpuProfile, Settings
from llmfleet.api.status import Recommendation, ReplacementRecord, ScalingStatus
from llmfleet.api.v1alpha1 import PORT, GpuSpec, LLMDeployment, ScalingMode
from llmfleet.controller.activators import Activators
from llmfleet.controller.cache import Cache
from llmfleet.controller.observed import Observed
from llmfleet.controller.queue import WorkQueue
from llmfleet.controller.reconcile import Reconciler
from llmfleet.engine.memory.planning import case, outlook
from llmfleet.engine.methods import NATIVE_FP8, capability_of
from llmfleet.engine.speed import start
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import ConflictError, GoneError
from llmfleet.kube.objects import ObjectView
from llmfleet.kube.pods import PodView
from llmfleet.kube.resources import PODS, Key
from llmfleet.kube.stages import seconds
from llmfleet.manifests.drain import WITHDRAWAL_SECONDS
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.ports import Conflict, EngineFacts, Hardware, ObjectRef, PodRef, Replacement, WatchedObject
from llmfleet.scaling.report import Report
from llmfleet.scaling.state import Change

M = TypeVar("M", bound=ApiModel)

QUOTA = "exceeded quota"
"""How the API server words a refusal by a ResourceQuota."""
HUNG_GRACE_SECONDS = WITHDRAWAL_SECONDS + 5
"""Grace of a pod whose engine hangs. Its requests are lost, so the time to drain would only keep its GPUs from the next
pod; but it must leave the Service before its connections break. Never 0: then the API server forgets the pod while it
may still hold GPUs and volumes."""


class Wish(NamedTuple):
    """What one generation of a spec asks of the loop."""

    config: ScalingConfig | None
    facts: EngineFacts
    hardware: Hardware
    is_ours: bool = True
    """Whether the mode is Builtin."""


@dataclass
class CachedDirectory:
    """All objects that can be read, once a pass went over them: then nothing of them is still missing."""

    cache: Cache
    reconciler: Reconciler
    board: Activators | None = None
    """The activators; None: there are none."""
    _wishes: dict[Key, tuple[str, int, Wish | None]] = field(default_factory=dict)

    def objects(self) -> Iterator[WatchedObject]:
        """One entry for each."""
        self._wishes = {key: value for key, value in self._wishes.items() if key in self.cache.objects.items}
        for key in list(self.cache.objects.items):
            if watched := self._one(key):
                yield watched

    def one(self, ref: ObjectRef) -> WatchedObject | None:
        """One object; None where it is gone, or another one has its name."""
        watched = self._one((ref.namespace, ref.name))
        return watched if watched and watched.ref == ref else None

    def asleep_and_asked(self) -> Iterator[WatchedObject]:
        """Those at zero for which requests wait in an activator."""
        for key in self.board.waiting() if self.board else ():
            watched = self._one(key)
            if watched and watched.replicas == 0 and not watched.suspended:
                yield watched

    def _one(self, key: Key) -> WatchedObject | None:
        observed = self.cache.observe(key) if key in self.reconciler.visited else None
        wish = self._wish(key, observed.target) if observed else None
        if observed is None or wish is None or observed.target.deleting:
            return None
        demanded = self.board is not None and self.board.is_demanded(observed.target.uid)
        return _watched(observed, wish, demanded=demanded)

    def _wish(self, key: Key, target: ObjectView) -> Wish | None:
        """Worked out once for each generation; None if the spec cannot be read."""
        uid, generation, wish = self._wishes.get(key, ("", 0, None))
        if (uid, generation) != (target.uid, target.generation):
            wish = _read(target, self.reconciler.settings)
            self._wishes[key] = (target.uid, target.generation, wish)
        return wish


def _read(target: ObjectView, settings: Settings) -> Wish | None:
    try:
        deployment = LLMDeployment.parse(target.body)
    except ValidationError:
        return None
    spec = deployment.spec
    engine, profile = spec.engine, settings.profile(spec.gpu.profile)
    capability = capability_of(profile.compute_capability) if profile else None
    facts = EngineFacts(
        max_model_len=engine.max_model_len if isinstance(engine.max_model_len, int) else None,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        fp8_kv_cache=capability is not None and capability >= NATIVE_FP8,
        startup_timeout=spec.startup.timeout_seconds,
    )
    hardware = _hardware(spec.gpu, profile)
    if spec.scaling is None:
        return Wish(None, facts, hardware)
    config = ScalingConfig.from_spec(spec.scaling, start(outlook(case(deployment, settings))))
    return Wish(config, facts, hardware, is_ours=spec.scaling.mode is ScalingMode.BUILTIN)


def _hardware(gpu: GpuSpec, profile: GpuProfile | None) -> Hardware:
    """A profile's price is of one device; one without devices has the price of a replica's place."""
    if profile is None:
        return Hardware()
    price = profile.price_per_hour
    return Hardware(
        profile=profile.name,
        gpus=gpu.count if profile.resource_name else 0,
        price_per_hour=None if price is None else price * (gpu.count if profile.resource_name else 1),
    )


def _watched(observed: Observed, wish: Wish, *, demanded: bool = False) -> WatchedObject:
    target, failure = observed.target, observed.deployment.failure if observed.deployment else ""
    return WatchedObject(
        ref=ObjectRef(target.namespace, target.name, target.uid),
        config=wish.config,
        followed=not wish.is_ours or bool(observed.autoscalers),
        facts=replace(wish.facts, inputs=observed.deployment.inputs_hash if observed.deployment else ""),
        hardware=wish.hardware,
        replicas=target.spec.get("replicas", 1),
        resource_version=str(target.version),
        pods=tuple(_pod(pod) for pod in observed.pods if not pod.finished),
        replicas_manager=target.replicas_manager,
        suspended=bool(target.spec.get("suspend")),
        demanded=demanded,
        wakeable=bool(observed.guards and observed.guards.addresses),
        quota_exceeded=failure if QUOTA in failure else "",
        history=tuple(_history(target)),
        replaced=tuple(_replacements(target)),
        recommended=tuple(_stored(target, "recommendations", Recommendation)),
    )


def _pod(pod: PodView) -> PodRef:
    return PodRef(
        name=pod.name,
        uid=pod.uid,
        ip=pod.ip,
        port=PORT,
        ready=pod.ready,
        terminating=pod.terminating,
        unschedulable=pod.stage is Reason.UNSCHEDULABLE,
        created_at=pod.created_at,
        started_at=pod.started_at or None,
        deletion_cost=pod.deletion_cost,
        resource_version=str(pod.version),
    )


def _history(target: ObjectView) -> Iterator[Change]:
    """The changes that the stored status tells of: they outlive a restart of the operator."""
    try:
        stored = ScalingStatus.model_validate(target.status.get("scaling") or {})
    except ValidationError:
        return
    for change in stored.history:
        yield Change(change.time, change.from_, change.to, change.reason, change.message)


def _stored(target: ObjectView, field_name: str, model: type[M]) -> Iterator[M]:
    """A list of the stored status, as far as it can be read: the caps of replacements hold over a restart."""
    for stored in target.status.get(field_name) or []:
        try:
            yield model.model_validate(stored)
        except ValidationError:
            return


def _replacements(target: ObjectView) -> Iterator[Replacement]:
    for record in _stored(target, "replacements", ReplacementRecord):
        with contextlib.suppress(ValueError):  # a time that is none
            yield Replacement(seconds(record.time), record.pod, record.message)


@dataclass
class ClusterActuator:
    """The writes."""

    cluster: Cluster

    async def set_replicas(self, ref: ObjectRef, replicas: int, *, resource_version: str) -> None:
        """Write spec.replicas through /scale.

        Raises:
            Conflict: the object is no longer at `resource_version`.
        """
        try:
            await self.cluster.scale(ref.namespace, ref.name, replicas=replicas, version=resource_version)
        except ConflictError as error:
            raise Conflict(str(error)) from error

    async def set_deletion_costs(self, ref: ObjectRef, costs: Mapping[PodRef, int]) -> None:
        """Annotate pods; those that are gone meanwhile do not matter."""
        await asyncio.gather(*(self._set_cost(ref, pod, cost) for pod, cost in costs.items()))

    async def _set_cost(self, ref: ObjectRef, pod: PodRef, cost: int) -> None:
        try:
            await self.cluster.set_deletion_cost(ref.namespace, pod.name, uid=pod.uid, cost=cost)
        except (GoneError, ConflictError):
            return

    async def replace(self, ref: ObjectRef, pod: PodRef) -> None:
        """Delete a pod whose engine hangs.

        Raises:
            Conflict: the pod has changed since, or is gone.
        """
        try:
            await self.cluster.delete(
                PODS, ref.namespace, pod.name, uid=pod.uid, version=pod.resource_version, grace=HUNG_GRACE_SECONDS
            )
        except (GoneError, ConflictError) as error:
            raise Conflict(str(error)) from error


@dataclass
class Reporter:
    """Takes the autoscaler's reports to the next pass over the object."""

    cache: Cache
    reconciler: Reconciler
    queue: WorkQueue

    def __call__(self, ref: ObjectRef, report: Report) -> None:
        """Keep the report and ask for a pass."""
        key = (ref.namespace, ref.name)
        target = self.cache.objects.newest(key)
        if target is not None and target.uid == ref.uid:
            self.reconciler.reports[key] = report
            self.queue.add(key)
