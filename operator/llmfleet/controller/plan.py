"""Wanted children + what is there -> what to do, as data. Pure.

The pod template is rendered anew only when its inputs changed, or when somebody edited one of the operator's own fields
in the live template. Otherwise the live one is kept, so that a change of replicas, or a new version of the operator,
rolls nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.controller.observed import ChildView, DeploymentView, Observed, own_hash
from llmfleet.manifests.children import outlines
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

    kind: str
    reason: str
    uid: str = ""
    """Of the object that is there; empty: there is none, and one that turns up is not ours."""
    template: Template = Template.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one pass has to do."""

    steps: tuple[Step, ...] = ()
    later: tuple[Step, ...] = ()
    """What the next pass has to do, once these steps are done."""
    waits: tuple[str, ...] = ()
    """What has to happen first, in words."""

    @property
    def requeue_after(self) -> float | None:
        """Seconds until the next look, if no event will announce it."""
        return COLLECTION_PAUSE if self.waits else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The children that an LLMDeployment should have, as far as it takes to see whether it has them."""

    inputs_hash: str
    replicas: int
    own_hashes: Mapping[str, str]
    """By kind, in the order in which they are applied."""


def desire(deployment: LLMDeployment, settings: Settings) -> Desired:
    """Render the children's outlines and keep what tells them apart."""
    return Desired(
        inputs_hash=inputs_hash(deployment, settings),
        replicas=deployment.wanted_replicas,
        own_hashes={manifest["kind"]: own_hash(manifest) for manifest in outlines(deployment, settings)},
    )


def plan(desired: Desired, observed: Observed) -> Plan:
    """Compare and decide, child by child; the pods last and in a pass of their own.

    So no replica ever runs without its address and its protection. And where there are hundreds of objects to begin
    with, their addresses are all made before the pods, which set every controller of the cluster to work: the API
    server makes Services one after the other, each as slowly as it is busy.
    """
    steps: list[Step] = []
    waits: list[str] = []
    for kind, wanted in desired.own_hashes.items():
        live = observed.child(kind)
        if live is not None and (live.deleting or live.owner != observed.target.uid):
            waits.append(f"the {kind} of an earlier object of this name is still being deleted")
        elif step := _step(kind, wanted, live, desired):
            steps.append(step)
    first = tuple(step for step in steps if step.kind != "Deployment")
    last = tuple(step for step in steps if step.kind == "Deployment")
    return Plan(steps=first or last, later=last if first else (), waits=tuple(waits))


def _step(kind: str, wanted: str, live: ChildView | None, desired: Desired) -> Step | None:
    if live is None:
        template = Template.RENDERED if kind == "Deployment" else Template.NONE
        return Step(kind=kind, reason="does not exist", template=template)
    if isinstance(live, DeploymentView) and (found := _deployment_step(live, desired)):
        return found
    if live.own_hash == wanted:
        return None
    template = Template.KEPT if kind == "Deployment" else Template.NONE
    return Step(kind=kind, reason="differs from what is wanted", uid=live.uid, template=template)


def _deployment_step(live: DeploymentView, desired: Desired) -> Step | None:
    if live.inputs_hash != desired.inputs_hash:
        return Step(kind="Deployment", reason="the spec changed", uid=live.uid, template=Template.RENDERED)
    if live.own_template_hash != live.template_hash:
        return Step(kind="Deployment", reason="its template was edited", uid=live.uid, template=Template.RENDERED)
    if live.wanted != desired.replicas:
        reason = f"replicas {live.wanted} -> {desired.replicas}"
        return Step(kind="Deployment", reason=reason, uid=live.uid, template=Template.KEPT)
    return None
