"""What the autoscaler asks of the controller: who there is (from the caches), its two writes, and where reports go."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from llmfleet.api.conditions import Reason
from llmfleet.api.status import ScalingStatus
from llmfleet.api.v1alpha1 import PORT, ScalingSpec
from llmfleet.controller.cache import Cache
from llmfleet.controller.cluster import Cluster
from llmfleet.controller.errors import ConflictError, GoneError
from llmfleet.controller.observed import ObjectView, Observed
from llmfleet.controller.pods import PodView
from llmfleet.controller.queue import Key, WorkQueue
from llmfleet.controller.reconcile import Reconciler
from llmfleet.controller.status import ScalingReport
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.loop import Report
from llmfleet.scaling.ports import Conflict, ObjectRef, PodRef, ScaledObject
from llmfleet.scaling.state import Change

QUOTA = "exceeded quota"
"""How the API server words a refusal by a ResourceQuota."""


@dataclass
class CachedDirectory:
    """The objects that have `spec.scaling`, once a pass went over them: then nothing of them is still missing."""

    cache: Cache
    reconciler: Reconciler
    _configs: dict[Key, tuple[str, int, ScalingConfig | None]] = field(default_factory=dict)

    def objects(self) -> Iterator[ScaledObject]:
        """One entry for each."""
        self._configs = {key: value for key, value in self._configs.items() if key in self.cache.objects.items}
        for key in list(self.cache.objects.items):
            observed = self.cache.observe(key) if key in self.reconciler.visited else None
            config = self._config(key, observed.target) if observed else None
            if observed and config and not observed.target.deleting:
                yield _scaled(observed, config)

    def _config(self, key: Key, target: ObjectView) -> ScalingConfig | None:
        """The targets, worked out once for each generation; None without scaling, or if it cannot be read."""
        uid, generation, config = self._configs.get(key, ("", 0, None))
        if (uid, generation) != (target.uid, target.generation):
            config = _read(target)
            self._configs[key] = (target.uid, target.generation, config)
        return config


def _read(target: ObjectView) -> ScalingConfig | None:
    try:
        return ScalingConfig.from_spec(ScalingSpec.model_validate(target.spec["scaling"]))
    except (KeyError, ValidationError):
        return None


def _scaled(observed: Observed, config: ScalingConfig) -> ScaledObject:
    target, failure = observed.target, observed.deployment.failure if observed.deployment else ""
    return ScaledObject(
        ref=ObjectRef(target.namespace, target.name, target.uid),
        config=config,
        replicas=target.spec.get("replicas", 1),
        resource_version=str(target.version),
        pods=tuple(_pod(pod) for pod in observed.pods if not pod.finished),
        replicas_manager=target.replicas_manager,
        suspended=bool(target.spec.get("suspend")),
        quota_exceeded=failure if QUOTA in failure else "",
        history=tuple(_history(target)),
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
    )


def _history(target: ObjectView) -> Iterator[Change]:
    """The changes that the stored status tells of: they outlive a restart of the operator."""
    try:
        stored = ScalingStatus.model_validate(target.status.get("scaling") or {})
    except ValidationError:
        return
    for change in stored.history:
        yield Change(change.time, change.from_, change.to, change.reason, change.message)


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
            tokens = report.decision.totals.kv_cache_tokens
            self.reconciler.reports[key] = ScalingReport(status=report.status, kv_cache_tokens=tokens)
            self.queue.add(key)
