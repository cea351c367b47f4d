"""Lists and watches one kind of child: what kopf does for the LLMDeployments, at a fifth of the CPU for each event.

A kind of an optional component may be missing: then it is looked for now and then, and what needs it is told.
An LLMDeployment changes when a person or an autoscaler writes; its children change a dozen times for each start of a
pod. kopf prepares a task, a logger and the arguments of handlers for every event; here an event is a line of JSON that
goes into the cache. A watch goes on from the version that it has seen. Where the API server no longer has that version,
everything is listed anew, and what is missing from the list is forgotten.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import DeniedError, GoneError, ReconcileError, TransientError, VersionGoneError
from llmfleet.kube.resources import Key, Resource
from llmfleet.kube.shelf import Shelf

logger = logging.getLogger(__name__)

SERVER_TIMEOUT = 240
"""Seconds after which the API server ends a watch, which is then opened anew from the version seen last."""
SILENCE = 70.0
"""Seconds without an event or bookmark (one comes each minute) after which the connection is taken for dead."""
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries while the API server does not answer; the last one for ever."""
ABSENT_PAUSE = 20.0
"""Seconds between looks for a kind that may be missing."""
SHORTEST = 1.0
"""Seconds from one watch to the next, should the API server end each at once."""


@dataclass
class Informer:
    """Keeps one shelf of the cache as the API server has it."""

    cluster: Cluster
    resource: Resource
    namespace: str
    """Where; empty: everywhere."""
    selector: str
    """Of labels."""
    shelf: Shelf[Any]
    on_change: Callable[[Key], None]
    """Called with the key of the LLMDeployment whose child has changed."""
    on_absence: Callable[[str], None] | None = None
    """For a kind that the API server need not know, or need not open to the operator: called with the reason when
    nothing of it can be had, and with an empty one when it can."""
    name: str = ""
    """Of the only object that is meant; empty: all."""
    heard_at: float = field(default_factory=time.monotonic)
    """Monotonic seconds of the last sign of life, or of the last attempt to get one."""
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once everything that was there at the start is in the shelf."""
    _version: str = ""
    """Seen last; empty: everything has to be listed."""

    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self.heard_at

    async def run(self) -> None:
        """For ever."""
        failures = 0
        while True:
            began = self.heard_at = time.monotonic()
            try:
                self._version = self._version or await self._list()
                await self._watch()
                failures = 0
                await asyncio.sleep(max(0.0, began + SHORTEST - time.monotonic()))
            except VersionGoneError:
                self._version = ""
            except ReconcileError as error:
                if self.on_absence is not None and isinstance(error, GoneError | DeniedError):
                    self._do_without(error)
                    unknown = f"the API server does not know the resource {self.resource.plural}"
                    self.on_absence(unknown if isinstance(error, GoneError) else str(error))
                    await asyncio.sleep(ABSENT_PAUSE)
                    continue
                asked = (error.retry_after or 0.0) if isinstance(error, TransientError) else 0.0
                pause = max(asked, PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1
                logger.warning("%s: %s; again in %g s", self.resource.plural, error, pause)
                await asyncio.sleep(pause * random.uniform(1.0, 1.5))  # noqa: S311 - spreads the work

    async def _list(self) -> str:
        """Bring the shelf up to date; returns the version from which to watch."""
        before = self.shelf.uids(self.namespace)
        bodies, version = await self.cluster.list_all(
            self.resource, namespace=self.namespace, selector=self.selector, name=self.name
        )
        for body in bodies:
            self._note(body)
        there = {body["metadata"]["uid"] for body in bodies}
        for key in self.shelf.retain(there, known_before=before):
            logger.info("%s/%s: %s that was deleted unnoticed", *key, self.resource.kind)
            self.on_change(key)
        self.listed.set()
        if self.on_absence is not None:
            self.on_absence("")
        return version

    def _do_without(self, error: ReconcileError) -> None:
        """Nothing of the kind can be had: what was known of a kind that is gone is gone with it."""
        self._version = ""
        if isinstance(error, GoneError):
            for key in self.shelf.retain(set(), known_before=self.shelf.uids(self.namespace)):
                self.on_change(key)
        self.listed.set()

    async def _watch(self) -> None:
        """Take note of events until the watch ends."""
        events = self.cluster.watch(
            self.resource,
            namespace=self.namespace,
            selector=self.selector,
            version=self._version,
            seconds=SERVER_TIMEOUT,
            silence=SILENCE,
            name=self.name,
        )
        async for kind, body in events:
            self.heard_at = time.monotonic()
            self._version = body["metadata"]["resourceVersion"]
            if kind == "DELETED":
                self.shelf.remove(body)
                self.on_change(self.shelf.key_of(body))
            elif kind != "BOOKMARK":
                self._note(body)

    def _note(self, body: dict[str, Any]) -> None:
        if self.shelf.put(body):
            self.on_change(self.shelf.key_of(body))
