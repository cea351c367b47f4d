"""Wanted children + what is there -> what to do, as data. Pure.

The pod template is rendered anew only when its inputs changed, or when somebody edited one of the operator's own fields
in the live template. Otherwise the live one is kept, so that a change of replicas, or a new version of the operator,
rolls nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.controller.autoscalers import AUTOSCALERS
from llmfleet.controller.child import ChildView, own_hash
from llmfleet.controller.observed import DeploymentView, Observed
from llmfleet.controller.standing import Post, handover, post, stays_up
from llmfleet.controller.starts import Aim, Start, judge
from llmfleet.kube.resources import POLICIES, SLICES
from llmfleet.manifests import activator_slice
from llmfleet.manifests.children import outlines
from llmfleet.manifests.hashing import inputs_hash

Manifest = dict[str, Any]

OPTIONAL = AUTOSCALERS | {POLICIES.kind}
"""Kinds of which an object has one or none, as its spec says: what is no longer wanted is deleted."""
COLLECTION_PAUSE = 2.0
"""Seconds between looks at a child that Kubernetes is about to delete."""


class Template(Enum):
    """Where the pod template of a Deployment comes from."""

    NONE = auto()
    RENDERED = auto()
    KEPT = auto()
    EARLIER = auto()
    """That of a ReplicaSet of the Deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One server-side apply."""

    kind: str
    reason: str
    uid: str = ""
    """Of the object that is there; empty: there is none, and one that turns up is not ours."""
    template: Template = Template.NONE
    start: Start | None = None
    """Of a Deployment: its replicas, and what is known of failed starts."""
    post: Post | None = None
    """Of an EndpointSlice: what stands in it."""
    inputs_hash: str = ""
    """Of a Deployment whose template is kept: what that was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One deletion of what was seen, and of nothing that it became since."""

    kind: str
    name: str
    uid: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one pass has to do."""

    removals: tuple[Removal, ...] = ()
    steps: tuple[Step, ...] = ()
    later: tuple[Step, ...] = ()
    """What the next pass has to do, once these steps are done."""
    waits: tuple[str, ...] = ()
    """What has to happen first, in words."""
    start: Start
    """What failed starts have to say."""
    handover: float | None = None
    """Seconds until the activators leave the object's address; None: nothing to wait for."""

    @property
    def requeue_after(self) -> float | None:
        """Seconds until the next look, if no event will announce it."""
        pauses = (COLLECTION_PAUSE if self.waits else self.start.pause, self.handover)
        return min((pause for pause in pauses if pause is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The children that an LLMDeployment should have, as far as it takes to see whether it has them."""

    inputs_hash: str
    replicas: int
    own_hashes: Mapping[str, str]
    """By kind, in the order in which they are applied."""
    may_sleep: bool = False
    """There may be no replica while nobody asks."""
    slice_hash: str = ""
    """Of the EndpointSlice of an object that may."""


def desire(deployment: LLMDeployment, settings: Settings, *, startup: int) -> Desired:
    """Render the children's outlines and keep what tells them apart; `startup` is what an autoscaler is sized to."""
    wanted = outlines(deployment, settings, startup=startup)
    return Desired(
        inputs_hash=inputs_hash(deployment, settings),
        replicas=deployment.wanted_replicas,
        own_hashes={manifest["kind"]: own_hash(manifest) for manifest in wanted},
        may_sleep=deployment.may_sleep,
        slice_hash=own_hash(place) if (place := _place(deployment)) else "",
    )


def _place(deployment: LLMDeployment) -> Manifest | None:
    """The activators' place, as far as it does not depend on who they are; None where there is none."""
    if not deployment.may_sleep:
        return None
    return activator_slice.render(deployment, port=0, addresses=(), family="")


def plan(desired: Desired, observed: Observed, *, now: float) -> Plan:
    """Compare and decide, child by child; the pods last and in a pass of their own. `now` is Unix time, seconds.

    So no replica ever runs without its address and its protection. And where there are hundreds of objects to begin
    with, their addresses are all made before the pods, which set every controller of the cluster to work: the API
    server makes Services one after the other, each as slowly as it is busy.
    """
    steps: list[Step] = []
    waits: list[str] = []
    desired = _standing(desired, observed)
    start = _start(desired, observed, now)
    for kind, wanted in desired.own_hashes.items():
        live = observed.child(kind)
        if kind in AUTOSCALERS and (observed.has_autoscaler_beside(kind) or not observed.can_have(kind)):
            continue  # two would pull at the same number; the end of one, or the coming of KEDA, brings another pass
        if live is not None and (live.deleting or live.owner != observed.target.uid):
            waits.append(f"the {kind} of an earlier object of this name is still being deleted")
        elif step := _step(kind, wanted, live, desired, start):
            steps.append(step)
    steps += _slice_steps(desired, observed, now)
    first = tuple(step for step in steps if step.kind != "Deployment")
    last = tuple(step for step in steps if step.kind == "Deployment")
    removals = tuple(_removals(desired, observed, now))
    later = last if first else ()
    pause = _handover(observed, now)
    return Plan(removals=removals, steps=first or last, later=later, waits=tuple(waits), start=start, handover=pause)


def _standing(desired: Desired, observed: Observed) -> Desired:
    """Where nobody would stand in, the last replica of an object that may go to zero stays."""
    live = observed.deployment.wanted if observed.deployment else None
    stays = desired.may_sleep and stays_up(wanted=desired.replicas, live=live, guards=observed.guards)
    return replace(desired, replicas=1) if stays else desired


def _slice_steps(desired: Desired, observed: Observed, now: float) -> Iterator[Step]:
    """The activators' place in the Service's endpoints."""
    live, guards = observed.slice, observed.guards
    if not desired.may_sleep or guards is None or (live is not None and live.deleting):
        return
    wanted = post(wanted=desired.replicas, live=live, pods=observed.pods, guards=guards, now=now)
    if wanted is None:
        return
    if live is None:
        yield Step(kind=SLICES.kind, reason="does not exist", post=wanted)
    elif (live.port, live.addresses) != wanted[:2] or live.own_hash != desired.slice_hash:
        words = f"{', '.join(wanted.addresses) or 'nobody'} answers at port {wanted.port}"
        yield Step(kind=SLICES.kind, reason=words, uid=live.uid, post=wanted)


def _handover(observed: Observed, now: float) -> float | None:
    """A replica is Ready and the activators still stand in for it: no event tells when they may leave."""
    if observed.slice is None or not observed.slice.addresses:
        return None
    left = handover(observed.pods, now)
    return left if 0 < left < float("inf") else None


def _removals(desired: Desired, observed: Observed, now: float) -> Iterator[Removal]:
    """Children that the spec no longer asks for."""
    for kind in sorted(OPTIONAL - desired.own_hashes.keys()):
        live = observed.child(kind)
        if live is not None and live.owner == observed.target.uid and not live.deleting:
            yield Removal(kind=kind, name=observed.target.name, uid=live.uid, version=live.version)
    place, guards = observed.slice, observed.guards
    if place is None or guards is None or place.deleting or place.owner != observed.target.uid:
        return
    # Who goes to zero no more is stood in for until a replica answers, unless there shall be none at all. Without
    # activators the addresses are nobody's.
    is_over = not desired.may_sleep and (desired.replicas == 0 or handover(observed.pods, now) == 0)
    if is_over or (not desired.may_sleep and not place.addresses) or (desired.may_sleep and guards.port is None):
        name = activator_slice.slice_name(observed.target.name)
        yield Removal(kind=SLICES.kind, name=name, uid=place.uid, version=place.version)


def _start(desired: Desired, observed: Observed, now: float) -> Start:
    """What failed starts have to say; nothing before there is a Deployment."""
    live = observed.deployment
    if live is None:
        return Start(replicas=desired.replicas)
    return judge(
        inputs=desired.inputs_hash,
        replicas=desired.replicas,
        live_inputs=live.inputs_hash,
        rendered=live.rendered,
        hold=live.hold,
        pods=observed.pods,
        now=now,
    )


def _step(kind: str, wanted: str, live: ChildView | None, desired: Desired, start: Start) -> Step | None:
    if kind == "Deployment":
        return _deployment_step(wanted, live, desired, start)
    if live is None:
        return Step(kind=kind, reason="does not exist")
    return None if live.own_hash == wanted else Step(kind=kind, reason="differs from what is wanted", uid=live.uid)


def _deployment_step(wanted: str, live: ChildView | None, desired: Desired, start: Start) -> Step | None:
    step = Step(kind="Deployment", reason="does not exist", template=Template.RENDERED, start=start)
    if not isinstance(live, DeploymentView):
        return step
    step = replace(step, uid=live.uid)
    if found := _template_step(step, live, desired, start):
        return found
    step = replace(step, template=Template.KEPT, inputs_hash=live.inputs_hash)
    if live.hold != start.hold:
        return replace(step, reason=start.reason or "the spec changed")
    if live.wanted != start.replicas:
        return replace(step, reason=f"replicas {live.wanted} -> {start.replicas}")
    return None if live.own_hash == wanted else replace(step, reason="differs from what is wanted")


def _template_step(step: Step, live: DeploymentView, desired: Desired, start: Start) -> Step | None:
    """What to do where the Deployment has another template than it should."""
    is_edited = live.own_template_hash != live.template_hash
    if start.aim is Aim.EARLIER and start.replica_set and (is_edited or live.hold != start.hold):
        return replace(step, reason=start.reason or "its template was edited", template=Template.EARLIER)
    if start.aim is Aim.SPEC and live.inputs_hash != desired.inputs_hash:
        return replace(step, reason=start.reason or "the spec changed")
    return replace(step, reason="its template was edited") if is_edited else None
