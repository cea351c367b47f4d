"""What the watches have told of one resource, as observations by LLMDeployment. Fed by informers or handlers.

A watch that has to start over after a long silence never tells of what was deleted meanwhile; `retain` drops that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from llmfleet.kube.resources import Body, Key
from llmfleet.manifests.names import DEPLOYMENT_LABEL

REMEMBERED_DELETIONS = 4096


class _View(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def uid(self) -> str: ...
    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=_View)


@dataclass
class Shelf(Generic[V]):
    """Observations of one resource."""

    view: Callable[[Body, V | None], V]
    """Reads a body, with what was known of it."""
    key_of: Callable[[Body], Key]
    items: dict[Key, dict[str, V]] = field(default_factory=dict)
    """Key of the LLMDeployment -> uid -> observation."""
    _gone: dict[str, int] = field(default_factory=dict)
    """The uid and version of what went; a later version means that it lost our label and has it back."""

    def put(self, body: Body) -> bool:
        """Take note of a body, from a watch or from the answer to a write; an older one changes nothing.

        Returns:
            Whether anything but the version is new.
        """
        meta = body["metadata"]
        uid, version = meta["uid"], int(meta["resourceVersion"])
        key = self.key_of(body)
        known = self.items.get(key, {}).get(uid)
        if version <= max(self._gone.get(uid, 0), known.version if known else 0):
            return False
        new = self.items.setdefault(key, {})[uid] = self.view(body, known)
        return known is None or replace(new, version=known.version) != known

    def remove(self, body: Body) -> None:
        """Forget what was deleted; a late answer to a write does not bring it back."""
        self._drop(self.key_of(body), body["metadata"]["uid"], version=int(body["metadata"]["resourceVersion"]))

    def retain(self, uids: set[str], *, known_before: set[str]) -> list[Key]:
        """Drop what was known before `uids` were listed and is not among them.

        Returns:
            The keys of what was dropped.
        """
        gone = known_before - uids
        lost = [(key, view) for key, here in self.items.items() for view in here.values() if view.uid in gone]
        for key, view in lost:
            self._drop(key, view.uid, version=view.version)
        return [key for key, _ in lost]

    def uids(self, namespace: str = "") -> set[str]:
        """Everything that is known, or what is known of one namespace."""
        return {uid for key, here in self.items.items() if namespace in {"", key[0]} for uid in here}

    def all(self, key: Key) -> tuple[V, ...]:
        """What is known of one LLMDeployment."""
        return tuple(self.items.get(key, {}).values())

    def newest(self, key: Key) -> V | None:
        """The one of an object that has only one; of an old and a new one of the same name, the new."""
        return max(self.all(key), key=lambda view: view.version, default=None)

    def _drop(self, key: Key, uid: str, *, version: int) -> None:
        self._gone.pop(uid, None)  # at the end of the line again
        self._gone[uid] = version
        if len(self._gone) > REMEMBERED_DELETIONS:
            del self._gone[next(iter(self._gone))]
        here = self.items.get(key, {})
        here.pop(uid, None)
        if not here:
            self.items.pop(key, None)


def own_key(body: Body) -> Key:
    """Of an object that is, or is called like, an LLMDeployment, or that belongs to none."""
    return body["metadata"]["namespace"], body["metadata"]["name"]


def label_key(body: Body) -> Key:
    """Of a child that has a name of its own."""
    return body["metadata"]["namespace"], (body["metadata"].get("labels") or {}).get(DEPLOYMENT_LABEL, "")
