"""The safety net: now and then every object is looked at again, and what is gone is forgotten.

A watch of kopf's that starts over lists what is there, and says nothing of what was deleted while it was deaf.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

from llmfleet.controller.cache import Cache
from llmfleet.controller.queue import WorkQueue
from llmfleet.controller.watches import Watches
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import ReconcileError
from llmfleet.kube.resources import LLMS

logger = logging.getLogger(__name__)

PERIOD = 600.0
"""Seconds between two looks at everything, give or take a fifth."""
TICK = 5.0
"""Seconds between two looks at whether kopf's watch has started over."""


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
        seen = 0
        loop = asyncio.get_running_loop()
        next_at = loop.time() + _jittered(PERIOD)
        while True:
            await asyncio.sleep(TICK)
            is_time = loop.time() >= next_at
            relisted = self.watches.relisted(LLMS.plural)
            if is_time or relisted != seen:
                seen = relisted
                await self._forget_what_is_gone()
            if is_time:
                next_at = loop.time() + _jittered(PERIOD)
                for key in list(self.cache.objects.items):
                    self.queue.add(key, after=random.uniform(0, PERIOD / 10))  # noqa: S311 - spreads the work

    async def _forget_what_is_gone(self) -> None:
        known = self.cache.objects.uids()
        try:
            there: set[str] = set()
            for namespace in self.namespaces or ("",):
                there |= {meta["uid"] for meta in await self.cluster.metadata(LLMS, namespace=namespace)}
        except ReconcileError as error:
            logger.warning("The %s could not be listed, so deletions may go unnoticed: %s", LLMS.plural, error)
            return
        for key in self.cache.objects.retain(there, known_before=known):
            logger.info("%s/%s was deleted unnoticed", *key)
            self.queue.add(key)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
