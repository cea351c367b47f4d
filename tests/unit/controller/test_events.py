"""Which changes of the status people are told of."""

from llmfleet.api.conditions import START_FAILURES, ConditionType, Reason
from llmfleet.api.status import LLMDeploymentStatus, ReplacementRecord, ScalingChange, ScalingStatus
from llmfleet.controller.conditions import Judgement, merge
from llmfleet.controller.events import transitions

NOTHING = LLMDeploymentStatus()


def status(*judgements: Judgement, scaling: ScalingStatus | None = None) -> LLMDeploymentStatus:
    return LLMDeploymentStatus(conditions=merge([], judgements, generation=1, now="now"), scaling=scaling)


def stuck(message: str) -> LLMDeploymentStatus:
    return status(Judgement(ConditionType.PROGRESSING, "False", Reason.STUCK, message))


READY = status(Judgement(ConditionType.READY, "True", Reason.AVAILABLE, "1 of 1 replicas are ready"))


def test_a_transition_is_told_once() -> None:
    assert [tuple(draft) for draft in transitions(NOTHING, READY)] == [
        ("Normal", "Available", "1 of 1 replicas are ready")
    ]
    assert transitions(READY, READY) == []


def test_another_sentence_to_the_same_reason_is_no_transition() -> None:
    assert [draft.type for draft in transitions(NOTHING, stuck("ErrImagePull"))] == ["Warning"]
    assert transitions(stuck("ErrImagePull"), stuck("ImagePullBackOff")) == []


def test_a_wrong_spec_is_a_warning_and_told_once_only() -> None:
    new = status(
        Judgement(ConditionType.READY, "False", Reason.INVALID, "no such profile"),
        Judgement(ConditionType.SPEC_VALID, "False", Reason.PROFILE_NOT_FOUND, "no such profile"),
    )
    assert [tuple(draft)[:2] for draft in transitions(NOTHING, new)] == [("Warning", "ProfileNotFound")]


def test_the_ordinary_course_is_silent() -> None:
    loading = status(
        Judgement(ConditionType.READY, "False", Reason.STARTING, ""),
        Judgement(ConditionType.PROGRESSING, "True", Reason.LOADING, ""),
        Judgement(ConditionType.SPEC_VALID, "True", Reason.VALID, ""),
        Judgement(ConditionType.SCALING_ACTIVE, "False", Reason.DISABLED, ""),
    )
    assert transitions(NOTHING, loading) == []


def test_missing_metrics_are_told_of_replicas_that_serve_only() -> None:
    """While the first one starts there is nothing to measure, and nothing to warn of."""
    held = status(Judgement(ConditionType.SCALING_ACTIVE, "False", Reason.HELD_MISSING_METRICS, "no metrics"))
    assert transitions(NOTHING, held) == []
    serving = held.model_copy(update={"ready_replicas": 1})
    assert [draft.type for draft in transitions(NOTHING, serving)] == ["Warning"]


def test_each_replacement_of_a_hung_replica_is_told_once() -> None:
    first, second = (
        ReplacementRecord(time=at, pod="a", reason=Reason.ENGINE_HUNG, message=f"{at}: it was replaced") for at in "12"
    )
    old, new = (LLMDeploymentStatus(replacements=found) for found in ((first,), (second, first)))
    assert [tuple(draft) for draft in transitions(old, new)] == [("Warning", "EngineHung", "2: it was replaced")]
    assert transitions(new, new) == []


def change(time: str, before: int, after: int) -> ScalingChange:
    return ScalingChange(time=time, from_=before, to=after, reason="memory", message="KV 80%")


def test_each_change_of_replicas_is_told_in_order() -> None:
    first, second, third = change("1", 1, 2), change("2", 2, 4), change("3", 4, 3)
    old, new = (
        status(scaling=ScalingStatus(history=[first])),
        status(scaling=ScalingStatus(history=[third, second, first])),
    )
    assert [tuple(draft)[1:] for draft in transitions(old, new)] == [
        ("ScaledUp", "2 -> 4 replicas: KV 80%"),
        ("ScaledDown", "4 -> 3 replicas: KV 80%"),
    ]


def held(message: str, *, generation: int = 1) -> LLMDeploymentStatus:
    judgements = [
        Judgement(kind, "False", Reason.START_HELD, message)
        for kind in (ConditionType.READY, ConditionType.PROGRESSING)
    ]
    return LLMDeploymentStatus(conditions=merge([], judgements, generation=generation, now="now"))


def loading(*, generation: int = 1) -> LLMDeploymentStatus:
    judgement = Judgement(ConditionType.PROGRESSING, "True", Reason.LOADING, "")
    return LLMDeploymentStatus(conditions=merge([], [judgement], generation=generation, now="now"))


def test_a_held_start_is_told_once_and_so_is_its_next_try() -> None:
    assert [tuple(draft) for draft in transitions(loading(), held("3 times"))] == [("Warning", "StartHeld", "3 times")]
    assert transitions(held("3 times"), held("3 times, still")) == []
    assert [draft.reason for draft in transitions(held("3 times"), loading())] == ["StartRetried"]


def test_a_corrected_spec_is_no_retry() -> None:
    assert transitions(held("3 times"), loading(generation=2)) == []


def test_every_cause_of_a_failed_start_is_a_warning() -> None:
    for reason in START_FAILURES:
        failed = status(Judgement(ConditionType.PROGRESSING, "False", reason, "why"))
        assert [draft.type for draft in transitions(NOTHING, failed)] == ["Warning"]
