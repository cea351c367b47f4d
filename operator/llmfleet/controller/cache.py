"""What the watches have told, a shelf for each resource. Fed by the handlers, read by reconcile and the autoscaler."""

from collections.abc import Callable, Iterable
from typing import Any

from llmfleet.controller.autoscalers import AutoscalerView, view_autoscaler
from llmfleet.controller.child import ChildView, view_child
from llmfleet.controller.observed import DeploymentView, Observed, view_deployment
from llmfleet.controller.standing import Guards, SliceView, view_slice
from llmfleet.kube.objects import ObjectView, view_object
from llmfleet.kube.pods import PodView, is_replica, view_pod
from llmfleet.kube.resources import SCALED_OBJECTS, Key
from llmfleet.kube.shelf import Shelf, label_key, own_key
from llmfleet.manifests.names import keda_hpa


def no_guards(_: ObjectView) -> Guards | None:
    """There are no activators."""
    return Guards(None, ())


def _newest(views: Iterable[AutoscalerView], name: str) -> AutoscalerView | None:
    """The one of that name; that which KEDA makes carries our label too."""
    return max((view for view in views if view.name == name), key=lambda view: view.version, default=None)


class Cache:
    """All shelves."""

    def __init__(self) -> None:
        self.objects: Shelf[ObjectView] = Shelf(view_object, own_key)
        self.deployments: Shelf[DeploymentView] = Shelf(view_deployment, own_key)
        self.services: Shelf[ChildView] = Shelf(view_child, own_key)
        self.budgets: Shelf[ChildView] = Shelf(view_child, own_key)
        self.claims: Shelf[ChildView] = Shelf(view_child, label_key)
        self.hpas: Shelf[AutoscalerView] = Shelf(view_autoscaler, label_key)
        self.scaled_objects: Shelf[AutoscalerView] = Shelf(view_autoscaler, label_key)
        self.unserved: dict[tuple[str, str], str] = {}
        """Plural of a resource and namespace (empty: all) -> why nothing of it can be had."""
        self.policies: Shelf[ChildView] = Shelf(view_child, own_key)
        self.slices: Shelf[SliceView] = Shelf(view_slice, label_key)
        self.guards_of: Callable[[ObjectView], Guards | None] = no_guards
        """Who stands in for an object at zero; the activators' board, where there are any."""
        self.pods: Shelf[PodView] = Shelf(view_pod, label_key)

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
