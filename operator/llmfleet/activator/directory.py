"""What the watches have told an activator: whose port is which, the objects, and where their replicas are."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from llmfleet.activator.targets import Target, addresses_of, target_of
from llmfleet.api.activation import Entry, parse
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.kube.objects import ObjectView, view_object
from llmfleet.kube.pods import PodView, view_pod
from llmfleet.kube.resources import Key
from llmfleet.kube.shelf import Shelf, label_key, own_key


@dataclass(frozen=True, slots=True, kw_only=True)
class BookView:
    """The ConfigMap with the ports."""

    uid: str
    version: int
    entries: Mapping[int, Entry]


def view_book(body: Mapping[str, Any], _: BookView | None = None) -> BookView:
    """Read it."""
    meta = body["metadata"]
    return BookView(uid=meta["uid"], version=int(meta["resourceVersion"]), entries=parse(body.get("data")))


@dataclass
class Directory:
    """All of it."""

    objects: Shelf[ObjectView] = field(default_factory=lambda: Shelf(view_object, own_key))
    pods: Shelf[PodView] = field(default_factory=lambda: Shelf(view_pod, label_key))
    books: Shelf[BookView] = field(default_factory=lambda: Shelf(view_book, own_key))
    _ready: dict[Key, asyncio.Event] = field(default_factory=dict)
    _parsed: dict[str, tuple[int, LLMDeployment | None]] = field(default_factory=dict)
    """uid -> generation and what was read of it."""

    @property
    def ports(self) -> Mapping[int, Entry]:
        """Whose port is which."""
        return next((book.entries for here in self.books.items.values() for book in here.values()), {})

    def target(self, port: int) -> Target | None:
        """The object whose port it is; None if there is none, or it cannot be read."""
        entry = self.ports.get(port)
        view = self.objects.newest((entry.namespace, entry.name)) if entry else None
        if entry is None or view is None or view.uid != entry.uid or view.deleting:
            return None
        generation, deployment = self._parsed.get(view.uid, (-1, None))
        if generation != view.generation:
            try:
                deployment = LLMDeployment.parse(view.body)
            except ValidationError:
                deployment = None
            self._parsed[view.uid] = view.generation, deployment
        return None if deployment is None else target_of(view, deployment)

    def addresses(self, target: Target) -> tuple[str, ...]:
        """Where its replicas take requests."""
        return addresses_of(self.pods.all((target.namespace, target.name)), target.name)

    def ready(self, target: Target) -> asyncio.Event:
        """Set while a replica takes requests."""
        event = self._ready.setdefault((target.namespace, target.name), asyncio.Event())
        self._set(event, bool(self.addresses(target)))
        return event

    def changed(self, key: Key) -> None:
        """A pod of the object has changed."""
        if key in self._ready:
            self._set(self._ready[key], bool(addresses_of(self.pods.all(key), key[1])))

    def tidy(self) -> None:
        """Forget objects that are gone."""
        there = self.objects.items
        self._ready = {key: event for key, event in self._ready.items() if key in there}
        uids = self.objects.uids()
        self._parsed = {uid: known for uid, known in self._parsed.items() if uid in uids}

    @staticmethod
    def _set(event: asyncio.Event, is_ready: bool) -> None:  # noqa: FBT001 - a private word for set and clear
        event.set() if is_ready else event.clear()
