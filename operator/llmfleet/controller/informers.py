"""Which kinds of children are watched where, and what a change of one wakes."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from llmfleet.api.settings import Settings
from llmfleet.controller.cache import Cache
from llmfleet.controller.queue import WorkQueue
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.informer import Informer
from llmfleet.kube.resources import SCALED_OBJECTS, SLICES, WATCHED_CHILDREN, Resource
from llmfleet.manifests.activator_slice import MANAGED_BY
from llmfleet.manifests.names import DEPLOYMENT_LABEL, FIELD_MANAGER

logger = logging.getLogger(__name__)

BURST = 0.2
"""Seconds for which events of children are gathered: a start is a dozen of them, and each pass may write the status."""

OWN_SLICES = f"{DEPLOYMENT_LABEL},{MANAGED_BY}={FIELD_MANAGER}"
"""Kubernetes' own slices of a Service carry its labels too, and change with every pod."""


@dataclass(frozen=True, slots=True)
class Informers:
    """Makes them."""

    cluster: Cluster
    cache: Cache
    queue: WorkQueue

    def of(self, scopes: Sequence[str], settings: Settings) -> list[Informer]:
        """One for each kind and each scope: a namespace, or an empty string for all.

        ScaledObjects are looked for where the settings make a mode KEDA, so that nothing is asked for without a right.
        """
        found = [self._required(resource, scope) for resource in WATCHED_CHILDREN for scope in scopes]
        found += [replace(self._required(SLICES, scope), selector=OWN_SLICES) for scope in scopes]
        if settings.prometheus.address:
            found += [self._optional(SCALED_OBJECTS, scope) for scope in scopes]
        return found

    def _required(self, resource: Resource, scope: str) -> Informer:
        return Informer(
            cluster=self.cluster,
            resource=resource,
            namespace=scope,
            selector=DEPLOYMENT_LABEL,
            shelf=self.cache.shelf(resource.plural),
            on_change=partial(self.queue.add, after=BURST),
        )

    def _optional(self, resource: Resource, scope: str) -> Informer:
        """Of a kind that comes with a component which may be missing, or be installed later."""
        return replace(self._required(resource, scope), on_absence=partial(self._note, resource.plural, scope))

    def _note(self, plural: str, scope: str, why: str) -> None:
        """Keep why a kind cannot be had, and look at the objects that may need it when that changes."""
        if self.cache.unserved.get((plural, scope), "") != why:
            logger.info("%s: %s", plural, why or "they can be had now")
            self.cache.unserved[plural, scope] = why
            for key in list(self.cache.objects.items):
                self.queue.add(key, after=BURST)
