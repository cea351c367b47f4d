"""A plan -> requests, in the plan's order. Each answer goes into the cache at once, so that the next look sees it."""

import logging
from collections.abc import Sequence

from llmfleet.api.conditions import Reason
from llmfleet.controller.cache import Cache
from llmfleet.controller.cluster import CHILDREN, Cluster
from llmfleet.controller.errors import ConflictError, InvalidError
from llmfleet.controller.observed import owner_of
from llmfleet.controller.plan import Manifest, Step, Template
from llmfleet.manifests.deployment import keeping_template, template_stands, with_template_hash

logger = logging.getLogger(__name__)


async def apply(steps: Sequence[Step], cluster: Cluster, cache: Cache) -> None:
    """Do the steps.

    Raises:
        InvalidError: a foreign object has a child's name, or the API server refuses a child.
        TransientError: try again later.
    """
    for step in steps:
        if not step.uid:
            await _check_name_is_free(step.manifest, cluster)
    for step in steps:
        meta = step.manifest["metadata"]
        logger.info("%s/%s: apply %s: %s", meta["namespace"], meta["name"], step.kind, step.reason)
        manifest = await _final(step, cluster)
        live = await cluster.apply(manifest, uid=step.uid)
        cache.shelf(CHILDREN[step.kind].plural).put(live)


async def _check_name_is_free(manifest: Manifest, cluster: Cluster) -> None:
    """Never take over what somebody else made: the watches show only objects with our label, so ask for any.

    An object that is ours, but lost the label, passes: applying gives the label back.
    """
    kind, meta = manifest["kind"], manifest["metadata"]
    live = await cluster.get(CHILDREN[kind], meta["namespace"], meta["name"])
    if live is None or owner_of(live) == meta["ownerReferences"][0]["uid"]:
        return
    raise InvalidError(
        f"There is a {kind} {meta['name']} that does not belong to this LLMDeployment, and it is not taken over: "
        f"delete or rename it, or give this LLMDeployment another name.",
        reason=Reason.NAME_CONFLICT,
    )


async def _final(step: Step, cluster: Cluster) -> Manifest:
    """What is sent: a Deployment's template is hashed as the server stores it, or kept as it stands there."""
    if step.template is Template.RENDERED:
        stored = await cluster.apply(step.manifest, uid=step.uid, dry_run=True)
        return with_template_hash(step.manifest, stored)
    if step.template is Template.KEPT:
        meta = step.manifest["metadata"]
        live = await cluster.get(CHILDREN[step.kind], meta["namespace"], meta["name"])
        if live is None or not template_stands(step.manifest, live):
            raise ConflictError("the Deployment changed since it was observed")
        return keeping_template(step.manifest, live)
    return step.manifest
