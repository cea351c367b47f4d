"""Two statuses -> the Events that an administrator should see: transitions only, never a running log. Pure."""

from typing import Literal, NamedTuple

from llmfleet.api.conditions import START_FAILURES, ConditionType, Reason
from llmfleet.api.status import LLMDeploymentStatus
from llmfleet.controller.status import condition
from llmfleet.engine.memory.plan_status import surprise

_WATCHED = (ConditionType.READY, ConditionType.PROGRESSING, ConditionType.SPEC_VALID, ConditionType.SCALING_ACTIVE)
_WARNINGS = START_FAILURES | frozenset(
    {
        Reason.DEGRADED,
        Reason.ENGINE_HUNG,
        Reason.START_HELD,
        Reason.UNSCHEDULABLE,
        Reason.VALID_WITH_WARNINGS,
        Reason.HELD_MISSING_METRICS,
        Reason.HELD_STALE,
        Reason.QUOTA_EXCEEDED,
        Reason.INSUFFICIENT_GPU,
        Reason.REPLICAS_OWNED_ELSEWHERE,
        Reason.AUTOSCALER_FAILED,
        Reason.METRICS_API_MISSING,
        Reason.KEDA_MISSING,
    }
)
_HELD = frozenset({Reason.HELD_MISSING_METRICS, Reason.HELD_STALE})
_SILENT = frozenset(
    {
        Reason.INVALID,  # SpecValid has the reason
        Reason.STARTING,
        Reason.PULLING_IMAGE,
        Reason.LOADING,
        Reason.DRAINING,
        Reason.COMPLETE,
        Reason.VALID,
        Reason.SCALING,
        Reason.AT_MAXIMUM,
        Reason.DISABLED,
        Reason.HELD_AFTER_RESTART,
        Reason.AUTOSCALER_PENDING,
    }
)
"""Reasons that are the ordinary course of things, or that another condition tells better."""


class EventDraft(NamedTuple):
    """An Event about an LLMDeployment."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def transitions(old: LLMDeploymentStatus, new: LLMDeploymentStatus) -> list[EventDraft]:
    """What happened between two statuses."""
    drafts = [draft for kind in _WATCHED if (draft := _transition(old, new, kind))]
    if not any(draft.reason == Reason.VALID_WITH_WARNINGS for draft in drafts):
        drafts += _missed_plan(old, new)
    return [*drafts, *_retries(old, new), *_scalings(old, new), *_replacements(old, new)]


def _transition(old: LLMDeploymentStatus, new: LLMDeploymentStatus, kind: ConditionType) -> EventDraft | None:
    """The Event of one condition, if its reason changed to one worth telling."""
    before, after = condition(old, kind), condition(new, kind)
    if after is None or after.reason in _SILENT or (before is not None and before.reason == after.reason):
        return None
    if kind is ConditionType.READY and after.reason == Reason.START_HELD:
        return None  # Progressing tells it
    if after.reason in _HELD and not new.ready_replicas:
        return None  # a replica that still starts has no metrics yet
    is_warning = after.reason in _WARNINGS or (kind is ConditionType.SPEC_VALID and after.status == "False")
    return EventDraft("Warning" if is_warning else "Normal", after.reason, after.message)


def _missed_plan(old: LLMDeploymentStatus, new: LLMDeploymentStatus) -> list[EventDraft]:
    """The KV cache turns out to be another than planned, where SpecValid had warnings before and so does not change."""
    words = surprise(new.plan) if new.plan else ""
    known = surprise(old.plan) if old.plan else ""
    return [EventDraft("Warning", Reason.VALID_WITH_WARNINGS, words)] if words and not known else []


def _retries(old: LLMDeploymentStatus, new: LLMDeploymentStatus) -> list[EventDraft]:
    """One Event when a held start is tried again; a corrected spec tells of itself."""
    before, after = condition(old, ConditionType.PROGRESSING), condition(new, ConditionType.PROGRESSING)
    if before is None or after is None or before.reason != Reason.START_HELD or after.reason == Reason.START_HELD:
        return []
    if before.observed_generation != after.observed_generation:
        return []
    return [EventDraft("Normal", "StartRetried", "the start that was held is tried again")]


def _scalings(old: LLMDeploymentStatus, new: LLMDeploymentStatus) -> list[EventDraft]:
    """One Event for each change of replicas that was not yet in the history."""
    known = old.scaling.history if old.scaling else []
    changes = [change for change in (new.scaling.history if new.scaling else []) if change not in known]
    return [
        EventDraft(
            "Normal",
            "ScaledUp" if change.to > change.from_ else "ScaledDown",
            f"{change.from_} -> {change.to} replicas: {change.message}",
        )
        for change in reversed(changes)
    ]


def _replacements(old: LLMDeploymentStatus, new: LLMDeploymentStatus) -> list[EventDraft]:
    """One Event for each replica that was replaced since."""
    changes = [record for record in new.replacements if record not in old.replacements]
    return [EventDraft("Warning", record.reason, record.message) for record in reversed(changes)]
