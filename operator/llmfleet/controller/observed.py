"""Raw bodies of the API server -> small frozen observations, the only thing that the caches keep. Pure.

Of a child only the hash of the operator's own fields is kept: enough to see that somebody edited one, at a fraction of
the memory of the whole body.
"""

from dataclasses import dataclass

from llmfleet.controller.autoscalers import AUTOSCALERS, AutoscalerView
from llmfleet.controller.child import PLANNED_ANNOTATIONS, ChildView, common, own_hash
from llmfleet.controller.standing import Guards, SliceView
from llmfleet.controller.starts import StartHold
from llmfleet.kube.objects import ObjectView
from llmfleet.kube.pods import PodView
from llmfleet.kube.resources import Body
from llmfleet.manifests import hashing, pace
from llmfleet.manifests.names import FIELD_MANAGER, INPUTS_HASH, RENDERED_HASH, START_HOLD, TEMPLATE_HASH


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentView(ChildView):
    """A Deployment."""

    inputs_hash: str
    """What the annotation says."""
    template_hash: str
    """What the annotation says."""
    own_template_hash: str
    """Of the operator's own fields of the live pod template: differs from the annotation once somebody edits one."""
    rendered: str
    """Hash of the live pod template as the operator once rendered it; its pods have the same."""
    hold: StartHold | None
    """What is known of failed starts."""
    own_mark: str
    """Changes whenever the operator's own fields may have: saves looking at them at each change of the status."""
    wanted: int
    current: int
    updated: int
    ready: int
    is_observed: bool
    """Its controller has seen the present spec, so that the numbers speak of it."""
    failure: str
    """Why pods cannot be made (quota, admission), in the cluster's words."""
    late: str
    """Kubernetes' own sentence once the progress deadline has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that is known of one LLMDeployment."""

    target: ObjectView
    deployment: DeploymentView | None = None
    service: ChildView | None = None
    pdb: ChildView | None = None
    claim: ChildView | None = None
    """Of the cache."""
    hpa: AutoscalerView | None = None
    """Of the mode HPA."""
    scaled_object: AutoscalerView | None = None
    """Of the mode KEDA."""
    keda_hpa: AutoscalerView | None = None
    """What KEDA made of it."""
    keda_missing: str = ""
    """Why there can be no ScaledObject; empty: there can."""
    policy: ChildView | None = None
    """Who may connect."""
    slice: SliceView | None = None
    """In which activators stand."""
    guards: Guards | None = None
    """The activators; None: it is not known yet which there are. An object that may not go to
    zero has no port."""
    pods: tuple[PodView, ...] = ()

    def child(self, kind: str) -> ChildView | None:
        """The child of that kind."""
        return {
            "Deployment": self.deployment,
            "Service": self.service,
            "PodDisruptionBudget": self.pdb,
            "PersistentVolumeClaim": self.claim,
            "HorizontalPodAutoscaler": self.hpa,
            "ScaledObject": self.scaled_object,
            "NetworkPolicy": self.policy,
            "EndpointSlice": self.slice,
        }[kind]

    @property
    def autoscalers(self) -> frozenset[str]:
        """Kinds that may write replicas for this object beside the operator, also while they are on their way out."""
        ours = (kind for kind in AUTOSCALERS if (one := self.child(kind)) and one.owner == self.target.uid)
        return frozenset((*ours, *(("ScaledObject",) if self.keda_hpa else ())))

    def pace(self, measured: int | None) -> int:
        """Seconds of a start to which the object's autoscaler is sized; 0 where it should have none.

        Args:
            measured: seconds of the last start; None: this process saw none.
        """
        if not self.target.has_autoscaler:
            return 0
        before = next((one.startup for one in (self.hpa, self.scaled_object) if one is not None), None)
        return pace.sized(self.target.startup_seconds if measured is None else measured, before=before)

    def can_have(self, kind: str) -> bool:
        """Whether the cluster knows the kind, and the operator may make one."""
        return not (kind == "ScaledObject" and self.keda_missing)

    def has_autoscaler_beside(self, kind: str) -> bool:
        """Whether there is one of another kind."""
        return bool(self.autoscalers - {kind})


def view_deployment(body: Body, known: DeploymentView | None = None) -> DeploymentView:
    """Read a Deployment; `known` is an earlier observation of it."""
    annotations = body["metadata"].get("annotations") or {}
    status = body.get("status") or {}
    mark = _mark(body["metadata"])
    if known is not None and known.own_mark == mark:
        own, own_template = known.own_hash, known.own_template_hash
    else:
        fields = hashing.own_fields(dict(body), FIELD_MANAGER)
        own = own_hash(fields)
        own_template = hashing.digest((fields.get("spec") or {}).get("template") or {})
    return DeploymentView(
        **common(body, own),
        own_mark=mark,
        rendered=_rendered(body),
        hold=StartHold.parse(annotations.get(START_HOLD, "")),
        inputs_hash=annotations.get(INPUTS_HASH, ""),
        template_hash=annotations.get(TEMPLATE_HASH, ""),
        own_template_hash=own_template,
        wanted=body["spec"].get("replicas", 1),
        current=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        is_observed=status.get("observedGeneration", 0) >= body["metadata"].get("generation", 0),
        failure=_condition_message(status, kind="ReplicaFailure", value="True"),
        late=_condition_message(status, kind="Progressing", value="False"),
    )


def _mark(meta: Body) -> str:
    """Of everything by which a Deployment's fields, or their ownership, can change but the status."""
    entries = [entry for entry in meta.get("managedFields") or [] if entry["manager"] == FIELD_MANAGER]
    hashes = {key: value for key, value in (meta.get("annotations") or {}).items() if key in PLANNED_ANNOTATIONS}
    return hashing.digest([meta.get("generation"), meta.get("labels"), meta.get("ownerReferences"), hashes, entries])


def _rendered(body: Body) -> str:
    annotations = body["spec"].get("template", {}).get("metadata", {}).get("annotations") or {}
    return str(annotations.get(RENDERED_HASH, ""))


def _condition_message(status: Body, *, kind: str, value: str) -> str:
    """Message of a condition of the Deployment, if it has that status."""
    conditions = status.get("conditions") or []
    found = (c for c in conditions if c["type"] == kind and c["status"] == value)
    return next((str(c.get("message", "")) for c in found), "")
