"""Wanted children + what is there -> what to do, as data. Pure.

The pod template is rendered anew only when its inputs changed, or when somebody edited one of the operator's own fields
in the live template. Otherwise the live one is kept, so that a change of replicas, or a new version of the operator,
rolls nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.controller.observed import ChildView, DeploymentView, Observed, own_hash
from llmfleet.manifests.children import children
from llmfleet.manifests.hashing import inputs_hash

Manifest = dict[str, Any]

COLLECTION_PAUSE = 2.0
"""Seconds between looks at a child that Kubernetes is about to delete."""


class Template(Enum):
    """Where the pod template of a Deployment comes from."""

    NONE = auto()
    RENDERED = auto()
    KEPT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One server-side apply."""

    manifest: Manifest = field(repr=False)
    reason: str
    uid: str = ""
    """Of the object that is there; empty: there is none, and one that turns up is not ours."""
    template: Template = Template.NONE

    @property
    def kind(self) -> str:
        """Kind of the child."""
        return str(self.manifest["kind"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one pass has to do."""

    steps: tuple[Step, ...] = ()
    waits: tuple[str, ...] = ()
    """What has to happen first, in words."""

    @property
    def requeue_after(self) -> float | None:
        """Seconds until the next look, if no event will announce it."""
        return COLLECTION_PAUSE if self.waits else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The children that an LLMDeployment should have."""

    inputs_hash: str
    replicas: int
    manifests: tuple[Manifest, ...] = field(repr=False)


def desire(deployment: LLMDeployment, settings: Settings) -> Desired:
    """Render all children."""
    return Desired(
        inputs_hash=inputs_hash(deployment, settings),
        replicas=deployment.wanted_replicas,
        manifests=tuple(children(deployment, settings)),
    )


def plan(desired: Desired, observed: Observed) -> Plan:
    """Compare and decide, child by child."""
    steps: list[Step] = []
    waits: list[str] = []
    for manifest in desired.manifests:
        live = observed.child(manifest["kind"])
        if live is not None and (live.deleting or live.owner != observed.target.uid):
            waits.append(f"the {manifest['kind']} of an earlier object of this name is still being deleted")
        else:
            steps.extend(_step(manifest, live, desired))
    return Plan(steps=tuple(steps), waits=tuple(waits))


def _step(manifest: Manifest, live: ChildView | None, desired: Desired) -> Iterator[Step]:
    if live is None:
        template = Template.RENDERED if manifest["kind"] == "Deployment" else Template.NONE
        yield Step(manifest=manifest, reason="does not exist", template=template)
    elif isinstance(live, DeploymentView):
        yield from _deployment_step(manifest, live, desired)
    elif live.own_hash != own_hash(manifest):
        yield Step(manifest=manifest, reason="differs from what is wanted", uid=live.uid)


def _deployment_step(manifest: Manifest, live: DeploymentView, desired: Desired) -> Iterator[Step]:
    if live.inputs_hash != desired.inputs_hash:
        yield Step(manifest=manifest, reason="the spec changed", uid=live.uid, template=Template.RENDERED)
    elif live.own_template_hash != live.template_hash:
        yield Step(manifest=manifest, reason="its template was edited", uid=live.uid, template=Template.RENDERED)
    elif live.wanted != desired.replicas:
        reason = f"replicas {live.wanted} -> {desired.replicas}"
        yield Step(manifest=manifest, reason=reason, uid=live.uid, template=Template.KEPT)
    elif live.own_hash != own_hash(manifest):
        yield Step(manifest=manifest, reason="differs from what is wanted", uid=live.uid, template=Template.KEPT)
