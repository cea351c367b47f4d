"""Which port is whose: activators tell objects apart by the port at which a connection comes in.

The book is a ConfigMap in the operator's own namespace, made by the chart. It cannot stand beside the objects: whoever
could write another object's port into a slice of theirs would be given that object's requests, keys and all. An
object's port is the same for as long as it may go to zero, over restarts of everybody.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from llmfleet.api.activation import Entry, dump, parse
from llmfleet.kube.cluster import Body, Cluster
from llmfleet.kube.errors import ReconcileError
from llmfleet.kube.resources import CONFIG_MAPS, Key

logger = logging.getLogger(__name__)

PAUSE = 2.0
"""Seconds between tries to write the book."""
GATHERING = 0.1
"""Seconds for which changes are gathered: objects come by the hundred."""


@dataclass
class PortBook:
    """Gives ports out, and writes down to whom. Only the leader's is used."""

    cluster: Cluster
    namespace: str
    name: str
    """Of the ConfigMap."""
    first: int
    count: int
    entries: dict[int, Entry] = field(default_factory=dict)
    is_loaded: bool = False
    """Nothing is given out before it is known what is."""
    _ports: dict[Key, int] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def port_of(self, owner: Entry) -> int | None:
        """The port of an object, a new one if it has none; None if none is free."""
        known = self._ports.get(owner[:2])
        if known is not None and self.entries[known] == owner:
            return known
        if not self.is_loaded:
            return None
        self.drop(owner[:2])  # an earlier object of this name had it
        free = next((p for p in range(self.first, self.first + self.count) if p not in self.entries), None)
        if free is not None:
            self.entries[free], self._ports[owner[:2]] = owner, free
            self._changed.set()
        return free

    def drop(self, key: Key) -> None:
        """Take back the port of an object."""
        port = self._ports.pop(key, None)
        if port is not None:
            del self.entries[port]
            self._changed.set()

    def retain(self, keys: Iterable[Key]) -> None:
        """Take back the ports of all other objects."""
        for key in self._ports.keys() - set(keys):
            self.drop(key)

    async def load(self) -> None:
        """Read the book, as often as it takes."""
        while True:
            try:
                stored = await self.cluster.get(CONFIG_MAPS, self.namespace, self.name)
            except ReconcileError as error:
                logger.warning("The activators' ports cannot be read: %s; again in %g s", error, PAUSE)
                await asyncio.sleep(PAUSE)
                continue
            for port, entry in parse((stored or {}).get("data")).items():
                if self.first <= port < self.first + self.count and entry[:2] not in self._ports:
                    self.entries[port], self._ports[entry[:2]] = entry, port
            self.is_loaded = True
            return

    async def run(self) -> None:
        """Write the book whenever it has changed, for ever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHERING)
            self._changed.clear()
            try:
                await self.cluster.apply_config_map(self.manifest())
            except ReconcileError as error:
                logger.warning("The activators' ports cannot be written: %s; again in %g s", error, PAUSE)
                self._changed.set()
                await asyncio.sleep(PAUSE)

    def manifest(self) -> Body:
        """The ConfigMap."""
        meta = {"namespace": self.namespace, "name": self.name}
        return {"apiVersion": "v1", "kind": CONFIG_MAPS.kind, "metadata": meta, "data": dump(self.entries)}
