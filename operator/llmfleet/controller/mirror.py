"""What an autoscaler of the operator's making says of itself -> ScalingActive and status.scaling. Pure.

Its words are passed on, since they are what people look up; the reason is one of ours, and what can be done stands
beside it. While it works, the message has its numbers only: its words change with each look that it takes.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from llmfleet.api.conditions import Reason
from llmfleet.api.v1alpha1 import LLMDeployment, ScalingMode, ScalingSpec
from llmfleet.controller.autoscalers import AutoscalerView, Said
from llmfleet.controller.observed import Observed
from llmfleet.scaling.terms import counted

NO_METRICS_API = ("no custom metrics API", "no external metrics API", "could not find the requested resource")
"""How Kubernetes words it that nobody serves metrics of a kind."""
TRIGGER_ERRORS = frozenset({"TriggerError", "PartialTriggerError"})
"""KEDA's reasons where Prometheus does not answer, or answers nothing."""
RULES = "charts/llmfleet/examples/prometheus-adapter-values.yaml"
_KINDS = {ScalingMode.HPA: "HorizontalPodAutoscaler", ScalingMode.KEDA: "ScaledObject"}


class Verdict(NamedTuple):
    """The condition without its type, and the number that belongs to it."""

    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str
    desired: int | None = None
    """Replicas that the autoscaler asks for; None where it asks for none."""
    scaled_at: str | None = None
    """RFC 3339 time of its last change."""


class Source(NamedTuple):
    """Where a HorizontalPodAutoscaler has its metrics from, and what to do without them."""

    scaler: str
    no_api: str
    no_metrics: str


ADAPTER = Source(
    "the HorizontalPodAutoscaler",
    f"Install prometheus-adapter with the rules of {RULES}, or set spec.scaling.mode to Builtin.",
    "Prometheus has to scrape the engines, with the labels namespace and pod, and prometheus-adapter needs the rules "
    f"of {RULES}.",
)
KEDA = Source(
    "KEDA's HorizontalPodAutoscaler",
    "Install KEDA with its metrics server, or set spec.scaling.mode to Builtin.",
    "KEDA must reach the Prometheus of the operator's settings, and Prometheus the engines, with the labels namespace, "
    "pod and llmfleet_io_deployment (the chart's monitoring.podMonitor).",
)


def verdict(observed: Observed, deployment: LLMDeployment) -> Verdict | None:
    """What the object's autoscaler says; None where that is the operator itself, or nobody."""
    scaling, mode, replicas = deployment.spec.scaling, deployment.scaled_by, deployment.spec.replicas
    if scaling is None or mode is None:
        return None
    if before := observed.autoscalers - {_KINDS.get(mode)}:
        kinds = " and the ".join(sorted(before))
        return _pending(replicas, f"the {kinds} of another spec.scaling.mode has to go first")
    if mode is ScalingMode.HPA:
        return _hpa(_ours(observed, observed.hpa), scaling, replicas=replicas, source=ADAPTER)
    if mode is ScalingMode.KEDA:
        return _keda(observed, scaling, replicas=replicas)
    return None


def _ours(observed: Observed, view: AutoscalerView | None) -> AutoscalerView | None:
    return view if view is not None and view.owner == observed.target.uid else None


def _keda(observed: Observed, scaling: ScalingSpec, *, replicas: int) -> Verdict:
    """What KEDA says, and then what the HorizontalPodAutoscaler says through which it scales."""
    if observed.keda_missing:
        words = (
            f"there can be no ScaledObjects ({observed.keda_missing}). Install KEDA 2.18 or newer, which is noticed "
            "within a minute, or set spec.scaling.mode to HPA or Builtin."
        )
        return _stopped(replicas, Reason.KEDA_MISSING, words)
    view = _ours(observed, observed.scaled_object)
    said = view.said if view is not None else {}
    if found := _obstacle(said):
        return _stopped(replicas, *found)
    if said.get("Ready", Said("Unknown", "", "")).status != "True":
        return _pending(replicas, "KEDA has not looked at the ScaledObject yet")
    return _hpa(observed.keda_hpa, scaling, replicas=replicas, source=KEDA)


def _obstacle(said: Mapping[str, Said]) -> tuple[Reason, str] | None:
    """What keeps KEDA from scaling."""
    ready, paused, fallback = (said.get(kind, Said("Unknown", "", "")) for kind in ("Ready", "Paused", "Fallback"))
    if paused.status == "True":
        remedy = "Remove the annotations autoscaling.keda.sh/paused... from the ScaledObject."
        return Reason.AUTOSCALER_PAUSED, f"KEDA is told to pause: {paused.message} ({paused.reason}). {remedy}"
    if fallback.status == "True" or ready.reason in TRIGGER_ERRORS:
        said_by = fallback if fallback.status == "True" else ready
        words = f"KEDA gets no metrics and keeps the number: {said_by.message} ({said_by.reason})."
        return Reason.HELD_MISSING_METRICS, f"{words} {KEDA.no_metrics}"
    if ready.status == "False":
        words = f"KEDA cannot scale: {ready.message} ({ready.reason})."
        return Reason.AUTOSCALER_FAILED, f"{words} `kubectl describe scaledobject` has its Events."
    return None


def _hpa(view: AutoscalerView | None, scaling: ScalingSpec, *, replicas: int, source: Source) -> Verdict:
    """What a HorizontalPodAutoscaler says.

    Where several things are wrong, the one that keeps it from looking at the others comes first.
    """
    if view is None or not view.said:
        return _pending(replicas, f"{source.scaler} has not looked yet")
    able, active = view.said.get("AbleToScale"), view.said.get("ScalingActive")
    if able is not None and able.status == "False":
        words = f"{source.scaler} cannot scale: {able.message} ({able.reason})"
        return _stopped(replicas, Reason.AUTOSCALER_FAILED, words)
    if active is not None and active.status != "True":
        reason, remedy = _cause(active, source)
        return _stopped(replicas, reason, f"{active.message} ({active.reason}). {remedy}")
    return _following(view, scaling, source)


def _cause(said: Said, source: Source) -> tuple[Reason, str]:
    """Why it computes no number, and what to do."""
    if said.reason == "ScalingDisabled":
        return Reason.DISABLED, "Set spec.replicas to 1 or more: at 0 Kubernetes turns a HorizontalPodAutoscaler off."
    if said.reason == "AmbiguousSelector":
        remedy = "Another HorizontalPodAutoscaler has the same pods: remove it, or remove spec.scaling."
        return Reason.REPLICAS_OWNED_ELSEWHERE, remedy
    if not said.reason.startswith("FailedGet"):
        return Reason.AUTOSCALER_FAILED, "`kubectl describe hpa` has its Events."
    if any(words in said.message for words in NO_METRICS_API):
        return Reason.METRICS_API_MISSING, source.no_api
    return Reason.HELD_MISSING_METRICS, source.no_metrics


def _following(view: AutoscalerView, scaling: ScalingSpec, source: Source) -> Verdict:
    """It computes a number."""
    limited = view.said.get("ScalingLimited", Said("Unknown", "", ""))
    bounds = f"minReplicas is {scaling.min_replicas} and maxReplicas {scaling.max_replicas}"
    words, reason = f"{source.scaler} asks for {counted(view.desired or 0)}; {bounds}", Reason.SCALING
    if limited.status == "True" and limited.reason == "TooManyReplicas":
        reason, words = Reason.AT_MAXIMUM, f"{words}, and the load asks for more"
    return Verdict("True", reason, words, view.desired, view.scaled_at or None)


def _pending(replicas: int, words: str) -> Verdict:
    return Verdict("Unknown", Reason.AUTOSCALER_PENDING, f"{_kept(replicas)}: {words}")


def _stopped(replicas: int, reason: Reason, words: str) -> Verdict:
    return Verdict("False", reason, f"{_kept(replicas)}: {words}")


def _kept(replicas: int) -> str:
    return f"{counted(replicas)} stay{'s' if replicas == 1 else ''}"
