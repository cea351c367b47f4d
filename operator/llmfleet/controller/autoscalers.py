"""An autoscaler that the operator made, as the caches keep it: its pace, and what it says of itself. Pure.

Its figures move with every look that it takes. Only what a status may speak of is kept, so the others cause no pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from llmfleet.controller.child import ChildView, common, own_hash
from llmfleet.kube.resources import Body
from llmfleet.manifests import hashing
from llmfleet.manifests.names import FIELD_MANAGER, STARTUP_SECONDS

AUTOSCALERS = frozenset({"HorizontalPodAutoscaler", "ScaledObject"})
"""Kinds of children of which an object has one or none, by its mode."""


class Said(NamedTuple):
    """One of its conditions."""

    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerView(ChildView):
    """A HorizontalPodAutoscaler, or a ScaledObject of KEDA, which has no number of its own."""

    name: str
    startup: int | None
    """Seconds of a start to which its pace is sized."""
    desired: int | None
    """Replicas that it asks for; None before its first look."""
    scaled_at: str
    """RFC 3339 time of its last change; empty if there was none."""
    said: Mapping[str, Said]
    """Its conditions, by type."""


def view_autoscaler(body: Body, _: AutoscalerView | None = None) -> AutoscalerView:
    """Read one."""
    meta, status = body["metadata"], body.get("status") or {}
    startup = str((meta.get("annotations") or {}).get(STARTUP_SECONDS, ""))
    conditions = status.get("conditions") or []
    return AutoscalerView(
        **common(body, own_hash(hashing.own_fields(dict(body), FIELD_MANAGER))),
        name=meta["name"],
        startup=int(startup) if startup.isdigit() else None,
        desired=status.get("desiredReplicas") if conditions else None,
        scaled_at=status.get("lastScaleTime") or "",
        said={c["type"]: Said(c["status"], c.get("reason", ""), c.get("message", "")) for c in conditions},
    )
