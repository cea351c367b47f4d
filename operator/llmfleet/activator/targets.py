"""What an activator has to know of one object, from what the API server shows. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine.command import served_names
from llmfleet.kube.objects import ObjectView
from llmfleet.kube.pods import PodView, is_replica

START_SHARE, START_SLACK = 1.5, 30.0
"""A request is held for so many times the last start, and so many seconds more, where that is longer than the limit."""
SHORTEST_RETRY, LONGEST_RETRY, UNKNOWN_RETRY = 1, 60, 10
"""Seconds after which a client is asked to come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One object."""

    namespace: str
    name: str
    uid: str
    models: tuple[str, ...]
    """Names under which requests may ask: the model's and those of its adapters."""
    needs_key: bool
    """Clients must send a key, which only the engine can judge."""
    is_closed: bool
    """Only some may connect to the engines: requests of whom nobody knows are never passed on."""
    is_suspended: bool
    startup_seconds: int | None
    """Of the last start; None: none is known."""

    def hold_seconds(self, limit: float) -> float:
        """For how long a request is held: longer than a start takes."""
        known = 0.0 if self.startup_seconds is None else START_SHARE * self.startup_seconds + START_SLACK
        return max(limit, known)

    def retry_seconds(self, asked_for: float) -> int:
        """When a client may come again, if a replica has been asked for so many seconds ago."""
        if self.startup_seconds is None:
            return UNKNOWN_RETRY
        return min(LONGEST_RETRY, max(SHORTEST_RETRY, ceil(self.startup_seconds - asked_for)))


def addresses_of(pods: Iterable[PodView], name: str) -> tuple[str, ...]:
    """Where the object's replicas take requests: pods of its own, whose addresses nobody but a kubelet writes."""
    ready = (pod for pod in pods if is_replica(pod, name) and pod.ready and not pod.terminating and not pod.finished)
    return tuple(sorted(pod.ip for pod in ready if pod.ip))


def target_of(view: ObjectView, deployment: LLMDeployment) -> Target:
    """What counts of an object."""
    spec = deployment.spec
    adapters = spec.engine.lora.adapters if spec.engine.lora else ()
    return Target(
        namespace=view.namespace,
        name=view.name,
        uid=view.uid,
        models=(*served_names(spec, view.name), *(adapter.name for adapter in adapters)),
        needs_key=spec.access.api_key_secret_ref is not None,
        is_closed=spec.access.network_policy is not None,
        is_suspended=spec.suspend,
        startup_seconds=view.startup_seconds,
    )
