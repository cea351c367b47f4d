"""Who answers at an object's address around zero, as data: the activators, the replicas, or both for a moment. Pure.

Never nobody: going down, the activators stand in the Service's endpoints before the Deployment goes to zero; going up,
they stay until a replica has been Ready for so long that every proxy knows it. Where no activator answers, the last
replica is not taken away. Nothing is changed while the operator does not know yet which activators there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmfleet.controller.child import ChildView, common, own_hash
from llmfleet.kube.pods import PodView
from llmfleet.manifests import hashing
from llmfleet.manifests.names import FIELD_MANAGER

HANDOVER_SECONDS = 3.0
"""For which a replica must have been Ready before the activators leave: kube-proxy writes its rules with a delay."""


class Post(NamedTuple):
    """What stands in a slice."""

    port: int
    addresses: tuple[str, ...]
    family: str


class Guards(NamedTuple):
    """The activators, for one object."""

    port: int | None
    """At which they listen for it; None: none is free."""
    addresses: tuple[str, ...]
    """Of those that say so."""
    family: str = "IPv4"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceView(ChildView):
    """An EndpointSlice of the operator's own."""

    port: int
    addresses: tuple[str, ...]
    family: str


def view_slice(body: Mapping[str, Any], _: SliceView | None = None) -> SliceView:
    """Read one."""
    ports, endpoints = body.get("ports") or [{}], body.get("endpoints") or []
    return SliceView(
        **common(body, own_hash(hashing.own_fields(dict(body), FIELD_MANAGER))),
        port=ports[0].get("port") or 0,
        addresses=tuple(sorted(address for one in endpoints for address in one["addresses"])),
        family=body.get("addressType", ""),
    )


def stays_up(*, wanted: int, live: int | None, guards: Guards | None) -> bool:
    """Whether the last replica stays although none is wanted; `live` is None before there is a Deployment."""
    if wanted > 0 or not live:
        return False
    return guards is None or not guards.addresses


def post(*, wanted: int, live: SliceView | None, pods: tuple[PodView, ...], guards: Guards, now: float) -> Post | None:
    """What is to stand in the slice of an object that may go to zero; None: nothing can yet."""
    if guards.port is None or (live is None and not guards.addresses):
        return None
    family = live.family if live is not None else guards.family
    stands = wanted == 0 or (live is not None and bool(live.addresses) and handover(pods, now) > 0)
    return Post(guards.port, tuple(sorted(guards.addresses)) if stands else (), family)


def handover(pods: tuple[PodView, ...], now: float) -> float:
    """Seconds until the replicas answer alone; 0: they do. Without a ready one, for ever."""
    ready = [pod.ready_since for pod in pods if pod.ready and not pod.terminating]
    return max(0.0, min(ready) + HANDOVER_SECONDS - now) if ready else float("inf")
