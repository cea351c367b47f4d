"""What an autoscaler of the operator's making says of itself -> ScalingActive and status.scaling. Pure.

Its words are passed on, since they are what people look up; the reason is one of ours, and what can be done stands
beside it. While it asks for nothing and fails at nothing, the message has its numbers only: its words change with each
look that it takes.
"""

from typing import Literal, NamedTuple

from llmfleet.api.conditions import Reason
from llmfleet.api.v1alpha1 import LLMDeployment, ScalingMode, ScalingSpec
from llmfleet.controller.autoscalers import AutoscalerView, Said
from llmfleet.controller.observed import Observed

NO_METRICS_API = ("no custom metrics API", "could not find the requested resource")
"""How Kubernetes words it that nobody serves the custom metrics."""
_KINDS = {ScalingMode.HPA: "HorizontalPodAutoscaler"}
RULES = "charts/llmfleet/examples/prometheus-adapter-values.yaml"


class Verdict(NamedTuple):
    """The condition without its type, and the number that belongs to it."""

    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str
    desired: int | None = None
    """Replicas that the autoscaler asks for; None where it asks for none."""
    scaled_at: str | None = None
    """RFC 3339 time of its last change."""


def verdict(observed: Observed, deployment: LLMDeployment) -> Verdict | None:
    """What the object's autoscaler says; None where that is the operator itself, or nobody."""
    scaling, mode, target = deployment.spec.scaling, deployment.scaled_by, observed.target
    if scaling is None or mode is None:
        return None
    replicas = deployment.spec.replicas
    if before := observed.autoscalers - {_KINDS.get(mode)}:
        words = (
            f"{_kept(replicas)}: the {' and the '.join(sorted(before))} of another spec.scaling.mode has to go first"
        )
        return Verdict("Unknown", Reason.AUTOSCALER_PENDING, words)
    if mode is ScalingMode.HPA:
        view = observed.hpa if observed.hpa is not None and observed.hpa.owner == target.uid else None
        return hpa(view, scaling, replicas=replicas)
    return None


def hpa(view: AutoscalerView | None, scaling: ScalingSpec, *, replicas: int) -> Verdict:
    """What a HorizontalPodAutoscaler says; `replicas` is spec.replicas.

    Where several things are wrong, the one that keeps it from looking at the others comes first.
    """
    if view is None or not view.said:
        words = "the HorizontalPodAutoscaler has not looked yet"
        return Verdict("Unknown", Reason.AUTOSCALER_PENDING, f"{_kept(replicas)}: {words}")
    able, active = view.said.get("AbleToScale"), view.said.get("ScalingActive")
    if able is not None and able.status == "False":
        words = f"the HorizontalPodAutoscaler cannot scale: {able.message} ({able.reason})"
        return Verdict("False", Reason.AUTOSCALER_FAILED, f"{_kept(replicas)}: {words}")
    if active is not None and active.status != "True":
        return _inactive(active, replicas)
    return _following(view, scaling)


def _inactive(said: Said, replicas: int) -> Verdict:
    """Why it computes no number, and what to do."""
    reason, remedy = _cause(said)
    return Verdict("False", reason, f"{_kept(replicas)}: {said.message} ({said.reason}). {remedy}")


def _cause(said: Said) -> tuple[Reason, str]:
    if said.reason == "ScalingDisabled":
        return Reason.DISABLED, "Set spec.replicas to 1 or more: at 0 Kubernetes turns a HorizontalPodAutoscaler off."
    if said.reason == "AmbiguousSelector":
        remedy = "Another HorizontalPodAutoscaler has the same pods: remove it, or remove spec.scaling."
        return Reason.REPLICAS_OWNED_ELSEWHERE, remedy
    if not said.reason.startswith("FailedGet"):
        return Reason.AUTOSCALER_FAILED, "`kubectl describe hpa` has its Events."
    if any(words in said.message for words in NO_METRICS_API):
        remedy = f"Install prometheus-adapter with the rules of {RULES}, or set spec.scaling.mode to Builtin."
        return Reason.METRICS_API_MISSING, remedy
    remedy = "Prometheus has to scrape the engines, with the labels namespace and pod, and prometheus-adapter needs the"
    return Reason.HELD_MISSING_METRICS, f"{remedy} rules of {RULES}."


def _following(view: AutoscalerView, scaling: ScalingSpec) -> Verdict:
    """It computes a number."""
    limited = view.said.get("ScalingLimited")
    bounds = f"minReplicas is {scaling.min_replicas} and maxReplicas {scaling.max_replicas}"
    words = f"the HorizontalPodAutoscaler asks for {_counted(view.desired or 0)}; {bounds}"
    if limited is not None and limited.status == "True" and limited.reason == "TooManyReplicas":
        reason, words = Reason.AT_MAXIMUM, f"{words}, and the load asks for more"
    else:
        reason = Reason.SCALING
    return Verdict("True", reason, words, view.desired, view.scaled_at or None)


def _kept(replicas: int) -> str:
    return f"{_counted(replicas)} stay{'s' if replicas == 1 else ''}"


def _counted(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"
