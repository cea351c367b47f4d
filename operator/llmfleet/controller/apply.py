"""A plan -> requests, in the plan's order. Each answer goes into the cache at once, so that the next look sees it."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from typing import TypeVar

from llmfleet.api.conditions import Reason
from llmfleet.controller.cache import Cache
from llmfleet.controller.cluster import CHILDREN, Cluster
from llmfleet.controller.errors import ConflictError, InvalidError
from llmfleet.controller.observed import owner_of
from llmfleet.controller.plan import Manifest, Step, Template
from llmfleet.manifests.deployment import keeping_template, template_stands, with_template_hash
from llmfleet.manifests.names import FIELD_MANAGER

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def apply(steps: Sequence[Step], manifests: Sequence[Manifest], cluster: Cluster, cache: Cache) -> None:
    """Do the steps; nothing is written before each of them is known to be possible.

    Raises:
        InvalidError: a foreign object has a child's name, or the API server refuses a child.
        TransientError: try again later.
    """
    by_kind = {manifest["kind"]: manifest for manifest in manifests}
    final = await _all(_final(step, by_kind[step.kind], cluster) for step in steps)
    ready = list(zip(steps, final, strict=True))
    # Side by side, but for the pods: no replica shall ever run without its address and its protection.
    await _all(_send(step, manifest, cluster, cache) for step, manifest in ready if step.kind != "Deployment")
    await _all(_send(step, manifest, cluster, cache) for step, manifest in ready if step.kind == "Deployment")


async def _all(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all of them, also if one fails; then raise the first failure."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    done: list[T] = []
    for result in found:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


async def _send(step: Step, manifest: Manifest, cluster: Cluster, cache: Cache) -> None:
    meta = manifest["metadata"]
    logger.info("%s/%s: apply %s: %s", meta["namespace"], meta["name"], step.kind, step.reason)
    live = await cluster.apply(manifest, uid=step.uid)
    cache.shelf(CHILDREN[step.kind].plural).put(live)


async def _final(step: Step, manifest: Manifest, cluster: Cluster) -> Manifest:
    """What is sent: a Deployment's template is hashed as the server stores it, or kept as it stands there."""
    if step.template is Template.RENDERED:
        return with_template_hash(manifest, await _rehearse(step, manifest, cluster))
    if step.template is Template.KEPT:
        live = await _live(manifest, cluster)
        if live is None or not template_stands(manifest, live):
            raise ConflictError("the Deployment changed since it was observed")
        return keeping_template(manifest, live)
    if not step.uid:
        await _check_name_is_free(manifest, cluster)
    return manifest


async def _rehearse(step: Step, manifest: Manifest, cluster: Cluster) -> Manifest:
    """What the API server would store; tells by the way whether the object would be a new one."""
    try:
        stored = await cluster.apply(manifest, uid=step.uid, dry_run=True)
    except InvalidError:
        if not step.uid:
            await _check_name_is_free(manifest, cluster)  # a foreign one may be why
        raise
    if not step.uid and not _is_new(stored):
        await _check_name_is_free(manifest, cluster)
    return stored


async def _check_name_is_free(manifest: Manifest, cluster: Cluster) -> None:
    """Never take over what somebody else made: the watches show only objects with our label, so ask for any.

    An object that is ours, but lost the label, passes: applying gives the label back.
    """
    kind, meta = manifest["kind"], manifest["metadata"]
    live = await _live(manifest, cluster)
    if live is None or owner_of(live) == meta["ownerReferences"][0]["uid"]:
        return
    raise InvalidError(
        f"There is a {kind} {meta['name']} that does not belong to this LLMDeployment, and it is not taken over: "
        f"delete or rename it, or give this LLMDeployment another name.",
        reason=Reason.NAME_CONFLICT,
    )


def _is_new(stored: Manifest) -> bool:
    """Whether a dry run would have made the object: nobody but us has a part in it."""
    return all(entry["manager"] == FIELD_MANAGER for entry in stored["metadata"]["managedFields"])


async def _live(manifest: Manifest, cluster: Cluster) -> Manifest | None:
    meta = manifest["metadata"]
    return await cluster.get(CHILDREN[manifest["kind"]], meta["namespace"], meta["name"])
