"""The safety net under the watches: now and then everything is looked at again, and what is gone is forgotten.

A watch that starts over lists what is there, and says nothing of what was deleted while it was deaf. Without this, a
child deleted in such a gap would be missed until somebody touches its LLMDeployment.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

from llmfleet.controller.cache import Cache
from llmfleet.controller.cluster import WATCHED, Cluster, Resource
from llmfleet.controller.errors import ReconcileError
from llmfleet.controller.queue import WorkQueue
from llmfleet.controller.watches import Watches
from llmfleet.manifests.names import DEPLOYMENT_LABEL

logger = logging.getLogger(__name__)

PERIOD = 600.0
"""Seconds between two looks at everything, give or take a fifth."""
TICK = 5.0
"""Seconds between two looks at whether a watch has started over."""


@dataclass
class Resync:
    """Runs beside the queue; reads only."""

    cache: Cache
    cluster: Cluster
    queue: WorkQueue
    watches: Watches
    namespaces: Sequence[str]

    async def run(self) -> None:
        """For ever."""
        seen = dict.fromkeys(WATCHED, 0)
        loop = asyncio.get_running_loop()
        next_at = loop.time() + _jittered(PERIOD)
        while True:
            await asyncio.sleep(TICK)
            is_time = loop.time() >= next_at
            for resource in WATCHED:
                relisted = self.watches.relisted(resource.plural)
                if is_time or relisted != seen[resource]:
                    seen[resource] = relisted
                    await self._forget_what_is_gone(resource)
            if is_time:
                next_at = loop.time() + _jittered(PERIOD)
                for key in list(self.cache.objects.items):
                    self.queue.add(key, after=random.uniform(0, PERIOD / 10))  # noqa: S311 - spreads the work

    async def _forget_what_is_gone(self, resource: Resource) -> None:
        shelf = self.cache.shelf(resource.plural)
        known = shelf.uids()
        selector = "" if resource is WATCHED[0] else DEPLOYMENT_LABEL
        try:
            there: set[str] = set()
            for namespace in self.namespaces or ("",):
                there |= await self.cluster.uids(resource, namespace=namespace, selector=selector)
        except ReconcileError as error:
            logger.warning("The %s could not be listed, so deletions may go unnoticed: %s", resource.plural, error)
            return
        for key in shelf.retain(there, known_before=known):
            logger.info("%s/%s: %s that was deleted unnoticed", *key, resource.kind)
            self.queue.add(key)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
