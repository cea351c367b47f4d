"""Whether the name of a child is free, so that nothing of somebody else's is ever taken over.

The watches show only what carries our label, so the API server is asked: for each name, but right after a start, when
there may be a thousand children to make, once for all names of a kind.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from llmfleet.api.conditions import Reason
from llmfleet.controller.child import owner_of
from llmfleet.controller.plan import Manifest
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import ConflictError, InvalidError
from llmfleet.kube.resources import CHILDREN, Resource

LIST_LIFE = 15.0
"""Seconds for which the lists count. An object made meanwhile is met by its conflicts: nothing is created by force."""

_Names = frozenset[tuple[str, str]]
"""Namespace and name."""


@dataclass
class Occupancy:
    """Who has which name."""

    cluster: Cluster
    namespaces: Sequence[str] = ()
    """Namespaces that the operator may look into; empty: all."""
    _until: float | None = None
    """Loop time until which the lists count; None before they are made."""
    _lists: dict[str, asyncio.Task[_Names]] = field(default_factory=dict)
    """By kind."""

    async def check(self, manifest: Manifest) -> None:
        """Return if the name is free, or the object that has it belongs to the same LLMDeployment but lost our label.

        Raises:
            InvalidError: the object is somebody else's.
        """
        meta = manifest["metadata"]
        names = await self._listed(manifest["kind"])
        if names is None or (meta["namespace"], meta["name"]) in names:
            await self._uid(manifest)

    async def uid_of_ours(self, manifest: Manifest) -> str:
        """The uid of the object that has the name.

        Raises:
            InvalidError: it is somebody else's.
            ConflictError: there is none any more.
        """
        if uid := await self._uid(manifest):
            return uid
        raise ConflictError(f"the {manifest['kind']} was there a moment ago")

    async def _uid(self, manifest: Manifest) -> str:
        kind, meta = manifest["kind"], manifest["metadata"]
        live = await self.cluster.get(CHILDREN[kind], meta["namespace"], meta["name"])
        if live is None:
            return ""
        if owner_of(live) == meta["ownerReferences"][0]["uid"]:
            return str(live["metadata"]["uid"])
        raise InvalidError(
            f"There is a {kind} {meta['name']} that does not belong to this LLMDeployment, and it is not taken over: "
            f"delete or rename it, or give this LLMDeployment another name.",
            reason=Reason.NAME_CONFLICT,
        )

    async def _listed(self, kind: str) -> _Names | None:
        """All names of a kind; None once the lists are too old."""
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + LIST_LIFE
        if now > self._until:
            self._lists.clear()
            return None
        if kind not in self._lists:
            self._lists[kind] = asyncio.create_task(self._list(CHILDREN[kind]), name=f"names of each {kind}")
        return await asyncio.shield(self._lists[kind])

    async def _list(self, resource: Resource) -> _Names:
        """Ask for the names; where that fails, all passes that wait for it fail, and find the next try done."""
        try:
            found = [await self.cluster.metadata(resource, namespace=ns) for ns in self.namespaces or ("",)]
        except BaseException:
            self._lists.pop(resource.kind, None)
            raise
        return frozenset((meta["namespace"], meta["name"]) for metas in found for meta in metas)
