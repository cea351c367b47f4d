"""LLMDeployments, as the caches keep them. Pure.

The spec is kept as it is stored: a rule that came later may refuse it, and only its own object is to suffer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmfleet.api.v1alpha1 import ScalingMode
from llmfleet.kube.resources import Body


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectView:
    """An LLMDeployment."""

    namespace: str
    name: str
    uid: str
    generation: int
    version: int
    """resourceVersion: grows with each change."""
    deleting: bool
    replicas_manager: str
    """Field manager that wrote spec.replicas last."""
    spec: Mapping[str, Any] = field(repr=False)
    status: Mapping[str, Any] = field(repr=False)

    @property
    def startup_seconds(self) -> int | None:
        """Of the last start that the status tells of; None if it tells of none."""
        seconds = (self.status.get("engine") or {}).get("startupSeconds")
        return seconds if isinstance(seconds, int) else None

    @property
    def has_autoscaler(self) -> bool:
        """Whether another than the operator itself is asked to scale."""
        return bool((self.spec.get("scaling") or {}).get("mode", ScalingMode.BUILTIN) != ScalingMode.BUILTIN)

    @property
    def body(self) -> dict[str, Any]:
        """What `LLMDeployment.parse` reads."""
        return {
            "metadata": {
                "namespace": self.namespace,
                "name": self.name,
                "uid": self.uid,
                "generation": self.generation,
                "resourceVersion": str(self.version),
            },
            "spec": self.spec,
        }


def view_object(body: Body, _: ObjectView | None = None) -> ObjectView:
    """Read an LLMDeployment."""
    meta = body["metadata"]
    return ObjectView(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        version=int(meta["resourceVersion"]),
        deleting="deletionTimestamp" in meta,
        replicas_manager=_writer_of_replicas(meta),
        spec=body.get("spec") or {},
        status=body.get("status") or {},
    )


def _writer_of_replicas(meta: Body) -> str:
    """The latest manager that owns spec.replicas."""
    entries = meta.get("managedFields") or []
    owners = [e for e in entries if "f:replicas" in (e.get("fieldsV1") or {}).get("f:spec", {})]
    latest = sorted(owners, key=lambda entry: str(entry.get("time", "")))
    return str(latest[-1].get("manager", "")) if latest else ""
