"""A plan -> requests, in the plan's order. Each answer goes into the cache at once, so that the next look sees it."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from llmfleet.api.conditions import Reason
from llmfleet.controller.cache import Cache
from llmfleet.controller.occupancy import Occupancy
from llmfleet.controller.plan import Manifest, Plan, Removal, Step, Template
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import ConflictError, GoneError, InvalidError
from llmfleet.kube.resources import CHILDREN, REPLICA_SETS
from llmfleet.manifests.deployment import (
    adjusted,
    dropped_volumes,
    going_back,
    has_image_volumes,
    has_template_hash,
    keeping_template,
    template_stands,
    with_rendered_hash,
    with_template_hash,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Applier:
    """Does what a plan says."""

    cluster: Cluster
    cache: Cache
    occupancy: Occupancy

    async def apply(self, plan: Plan, manifests: Sequence[Manifest]) -> None:
        """Remove what is no longer wanted, then do the steps of a plan, side by side.

        Nothing is applied while a name is taken that one of the steps needs.

        Raises:
            InvalidError: a foreign object has a child's name, or the API server refuses a child.
            TransientError: try again later.
        """
        namespace = manifests[0]["metadata"]["namespace"]
        await _all(self._remove(removal, namespace) for removal in plan.removals)
        by_kind = {manifest["kind"]: manifest for manifest in manifests}
        new = [by_kind[step.kind] for step in (*plan.steps, *plan.later) if not step.uid]
        await _all(self.occupancy.check(manifest) for manifest in new)
        final = await _all(self._final(step, by_kind[step.kind]) for step in plan.steps)
        await _all(self._send(step, manifest) for step, manifest in zip(plan.steps, final, strict=True))

    async def _remove(self, removal: Removal, namespace: str) -> None:
        logger.info("%s/%s: delete %s: the spec does not ask for it any more", namespace, removal.name, removal.kind)
        resource, version = CHILDREN[removal.kind], str(removal.version)
        with contextlib.suppress(GoneError):
            await self.cluster.delete(resource, namespace, removal.name, uid=removal.uid, version=version)

    async def _final(self, step: Step, manifest: Manifest) -> Manifest:
        """What is sent: a live Deployment's template is hashed as the server will store it, or kept as it is."""
        if step.start is not None:
            hold = step.start.hold.dump() if step.start.hold else ""
            manifest = adjusted(manifest, replicas=step.start.replicas, hold=hold, inputs=step.inputs_hash)
        if step.template is Template.EARLIER:
            earlier = going_back(manifest, await self._replica_set(step, manifest))
            return with_template_hash(earlier, await self.cluster.apply(earlier, uid=step.uid, dry_run=True))
        if step.template is Template.RENDERED and (step.uid or has_image_volumes(manifest)):
            stored = await self.cluster.apply(manifest, uid=step.uid, dry_run=True)
            if dropped := dropped_volumes(manifest, stored):
                raise InvalidError(
                    f"The API server drops the pods' volume {', '.join(dropped)}: this cluster has no image volumes "
                    "(Kubernetes 1.35, or the feature gate ImageVolume before). Use another spec.model.source; the "
                    "administrator should turn models.imageVolumes off in the operator's settings.",
                    reason=Reason.REFUSED_BY_CLUSTER,
                )
            return with_template_hash(manifest, stored)
        if not step.uid:
            return with_rendered_hash(manifest) if step.template is Template.RENDERED else manifest
        if step.template is Template.KEPT:
            live = await self._live(manifest)
            if live is None or not template_stands(manifest, live):
                raise ConflictError("the Deployment changed since it was observed")
            return keeping_template(manifest, live)
        return manifest

    async def _replica_set(self, step: Step, manifest: Manifest) -> Manifest:
        """The one whose template is gone back to."""
        name = step.start.replica_set if step.start else ""
        found = await self.cluster.get(REPLICA_SETS, manifest["metadata"]["namespace"], name)
        owners = found["metadata"].get("ownerReferences", []) if found else []
        if found is None or all(owner["uid"] != step.uid for owner in owners):
            raise ConflictError(f"there is no ReplicaSet {name} of this Deployment any more")
        return found

    async def _send(self, step: Step, manifest: Manifest) -> None:
        meta = manifest["metadata"]
        logger.info("%s/%s: apply %s: %s", meta["namespace"], meta["name"], step.kind, step.reason)
        live = await (self.cluster.apply(manifest, uid=step.uid) if step.uid else self._create(manifest))
        self.cache.shelf(CHILDREN[step.kind].plural).put(live)

    async def _create(self, manifest: Manifest) -> Manifest:
        """Apply what is not there, without force: on somebody's object of that name its fields would be in conflict."""
        try:
            live = await self.cluster.apply(manifest, force=False)
        except ConflictError:
            live = await self.cluster.apply(manifest, uid=await self.occupancy.uid_of_ours(manifest))
        if manifest["kind"] == "Deployment" and not has_template_hash(live):
            # The server stores our template in another form (`0.5` as `500m`). No rollout: only an annotation differs.
            live = await self.cluster.apply(with_template_hash(manifest, live), uid=live["metadata"]["uid"])
        return live

    async def _live(self, manifest: Manifest) -> Manifest | None:
        meta = manifest["metadata"]
        return await self.cluster.get(CHILDREN[manifest["kind"]], meta["namespace"], meta["name"])


async def _all(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all of them, also if one fails; then raise the first failure."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    done: list[T] = []
    for result in found:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done
