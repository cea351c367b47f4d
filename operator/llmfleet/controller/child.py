"""What is kept of every child: whose it is, and whether somebody edited one of the operator's fields. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmfleet.api.v1alpha1 import GROUP, KIND
from llmfleet.kube.resources import Body
from llmfleet.manifests import hashing
from llmfleet.manifests.names import FIELD_MANAGER, INPUTS_HASH, START_HOLD, TEMPLATE_HASH

PLANNED_ANNOTATIONS = frozenset({INPUTS_HASH, TEMPLATE_HASH, START_HOLD})
"""What the plan compares by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildView:
    """A Service, a PodDisruptionBudget, a PersistentVolumeClaim, or the common part of the others."""

    uid: str
    version: int
    owner: str
    """uid of the LLMDeployment that controls it; empty if none does."""
    deleting: bool
    own_hash: str
    """Of the operator's own fields, but for the pod template, the replicas and the hashes themselves."""


def view_child(body: Body, _: ChildView | None = None) -> ChildView:
    """Read a Service, a PodDisruptionBudget, or a PersistentVolumeClaim."""
    return ChildView(**common(body, own_hash(hashing.own_fields(dict(body), FIELD_MANAGER))))


def own_hash(own: Body) -> str:
    """Hash of a child's own fields, live or wanted alike, without what the plan compares by itself.

    Empty values do not count: the API server does not store most of them. Nor does the size of a claim, which it
    writes in its own way; the claim has an annotation for it.
    """
    meta = dict(own.get("metadata") or {})
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in PLANNED_ANNOTATIONS}
    spec = {k: v for k, v in (own.get("spec") or {}).items() if k not in {"template", "replicas", "resources"}}
    kept = {"labels": meta.get("labels"), "owners": meta.get("ownerReferences"), "annotations": annotations}
    return hashing.digest(_without_empty({"meta": kept, "spec": spec}))


def owner_of(body: Body) -> str:
    """The uid of the LLMDeployment that controls an object; empty if none does."""
    references = body["metadata"].get("ownerReferences") or []
    ours = (r for r in references if r["kind"] == KIND and r["apiVersion"].partition("/")[0] == GROUP)
    return next((str(r["uid"]) for r in ours if r.get("controller")), "")


def common(body: Body, own: str) -> dict[str, Any]:
    """What each view has; `own` is the hash of the operator's own fields."""
    meta = body["metadata"]
    return {
        "uid": meta["uid"],
        "version": int(meta["resourceVersion"]),
        "owner": owner_of(body),
        "deleting": "deletionTimestamp" in meta,
        "own_hash": own,
    }


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value
