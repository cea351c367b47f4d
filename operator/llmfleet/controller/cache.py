"""What the watches have told, as observations by object. Fed by the handlers, read by reconcile and the autoscaler.

A watch that has to start over after a long silence never tells of what was deleted meanwhile; `retain` drops that.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from llmfleet.controller.autoscalers import AutoscalerView, view_autoscaler
from llmfleet.controller.child import ChildView, view_child
from llmfleet.controller.observed import DeploymentView, ObjectView, Observed, view_deployment, view_object
from llmfleet.controller.pods import PodView, is_replica, view_pod
from llmfleet.controller.queue import Key
from llmfleet.controller.resources import SCALED_OBJECTS
from llmfleet.controller.standing import Guards, SliceView, view_slice
from llmfleet.manifests.names import DEPLOYMENT_LABEL, keda_hpa

Body = Mapping[str, Any]

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


def _own_key(body: Body) -> Key:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _label_key(body: Body) -> Key:
    return body["metadata"]["namespace"], (body["metadata"].get("labels") or {}).get(DEPLOYMENT_LABEL, "")


def no_guards(_: ObjectView) -> Guards | None:
    """There are no activators."""
    return Guards(None, ())


def _newest(views: Iterable[AutoscalerView], name: str) -> AutoscalerView | None:
    """The one of that name; that which KEDA makes carries our label too."""
    return max((view for view in views if view.name == name), key=lambda view: view.version, default=None)


class Cache:
    """All shelves."""

    def __init__(self) -> None:
        self.objects: Shelf[ObjectView] = Shelf(view_object, _own_key)
        self.deployments: Shelf[DeploymentView] = Shelf(view_deployment, _own_key)
        self.services: Shelf[ChildView] = Shelf(view_child, _own_key)
        self.budgets: Shelf[ChildView] = Shelf(view_child, _own_key)
        self.claims: Shelf[ChildView] = Shelf(view_child, _label_key)
        self.hpas: Shelf[AutoscalerView] = Shelf(view_autoscaler, _label_key)
        self.scaled_objects: Shelf[AutoscalerView] = Shelf(view_autoscaler, _label_key)
        self.unserved: dict[tuple[str, str], str] = {}
        """Plural of a resource and namespace (empty: all) -> why nothing of it can be had."""
        self.policies: Shelf[ChildView] = Shelf(view_child, _own_key)
        self.slices: Shelf[SliceView] = Shelf(view_slice, _label_key)
        self.guards_of: Callable[[ObjectView], Guards | None] = no_guards
        """Who stands in for an object at zero; the activators' board, where there are any."""
        self.pods: Shelf[PodView] = Shelf(view_pod, _label_key)

    def shelf(self, plural: str) -> Shelf[Any]:
        """The shelf of a resource."""
        shelves: dict[str, Shelf[Any]] = {
            "llmdeployments": self.objects,
            "deployments": self.deployments,
            "services": self.services,
            "poddisruptionbudgets": self.budgets,
            "persistentvolumeclaims": self.claims,
            "horizontalpodautoscalers": self.hpas,
            "scaledobjects": self.scaled_objects,
            "networkpolicies": self.policies,
            "endpointslices": self.slices,
            "pods": self.pods,
        }
        return shelves[plural]

    def why_unserved(self, plural: str, namespace: str) -> str:
        """Why nothing of a resource can be had there; empty: it can."""
        return self.unserved.get((plural, "")) or self.unserved.get((plural, namespace), "")

    def observe(self, key: Key) -> Observed | None:
        """All that is known of one LLMDeployment; None if there is none."""
        target = self.objects.newest(key)
        if target is None:
            return None
        return Observed(
            target=target,
            deployment=self.deployments.newest(key),
            service=self.services.newest(key),
            pdb=self.budgets.newest(key),
            claim=self.claims.newest(key),
            hpa=_newest(self.hpas.all(key), key[1]),
            scaled_object=_newest(self.scaled_objects.all(key), key[1]),
            keda_hpa=_newest(self.hpas.all(key), keda_hpa(key[1])),
            keda_missing=self.why_unserved(SCALED_OBJECTS.plural, key[0]),
            policy=self.policies.newest(key),
            slice=self.slices.newest(key),
            guards=self.guards_of(target),
            pods=tuple(pod for pod in self.pods.all(key) if is_replica(pod, key[1])),
        )
