"""The status and its conditions, by what was observed."""

from dataclasses import replace
from typing import Any

import pytest

from llmfleet.api.conditions import Advice, ConditionType, Reason
from llmfleet.api.settings import Settings
from llmfleet.api.status import (
    Condition,
    LLMDeploymentStatus,
    PlanStatus,
    Recommendation,
    ScalingSignals,
    ScalingStatus,
)
from llmfleet.controller.conditions import Judgement, merge
from llmfleet.controller.events import transitions
from llmfleet.controller.reading import read
from llmfleet.controller.starts import Aim, Start, StartHold
from llmfleet.controller.status import Findings, build
from llmfleet.engine.failures import explain
from llmfleet.engine.problem import Problem, Severity
from llmfleet.scaling.ports import Replacement
from llmfleet.scaling.report import Report
from tests.unit.controller.bodies import SETTINGS, counts, observed, parsed, running
from tests.unit.kube.bodies import container, llm_body, pod_body

NOW = 1795000000.0
H100 = Settings.parse(
    {"gpuProfiles": [{"name": "gpu", "default": True, "memoryGiB": 79.6, "computeCapability": "9.0"}]}
)
LATER = NOW + 100
BAD_IMAGE: dict[str, Any] = {"waiting": {"reason": "ErrImagePull", "message": "no such tag"}}
SCALED: dict[str, Any] = {"scaling": {"maxReplicas": 4}}


def report(
    target: dict[str, Any], *, live: dict[str, Any] | None = None, pods: Any = (), **more: Any
) -> LLMDeploymentStatus:
    """The status of an object with its children, the Deployment being in that state."""
    children = running(target, status=live) if live is not None else {}
    findings = Findings(observed=observed(target, children, tuple(pods)), deployment=parsed(target), **more)
    return build(findings, SETTINGS, now=NOW)


def brief(status: LLMDeploymentStatus) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in status.conditions if c.type in {"Ready", "Available", "Progressing"}}


CASES = [
    pytest.param(
        {}, counts(current=1, updated=1, ready=1), [pod_body(ready=True)],
        {"Ready": ("True", "Available"), "Available": ("True", "MinimumReady"), "Progressing": ("False", "Complete")},
        id="all is well",
    ),
    pytest.param(
        {}, counts(current=0, updated=0, ready=0), [],
        {"Ready": ("False", "Starting"), "Available": ("False", "NoneReady"), "Progressing": ("True", "Loading")},
        id="no pod yet",
    ),
    pytest.param(
        {}, counts(current=1, updated=1, ready=0), [pod_body()],
        {"Ready": ("False", "Starting"), "Available": ("False", "NoneReady"), "Progressing": ("True", "Loading")},
        id="the first one loads",
    ),
    pytest.param(
        {"replicas": 2}, counts(current=2, updated=2, ready=1), [pod_body("a", ready=True), pod_body("b")],
        {"Ready": ("False", "Starting"), "Available": ("True", "MinimumReady"), "Progressing": ("True", "Loading")},
        id="one more loads",
    ),
    pytest.param(
        {"replicas": 2}, counts(current=2, updated=2, ready=1),
        [pod_body("a", ready=True), pod_body("b", containerStatuses=[container(restarts=1, last={"exitCode": 0})])],
        {"Ready": ("False", "Degraded"), "Available": ("True", "MinimumReady"), "Progressing": ("True", "Loading")},
        id="one starts again",
    ),
    pytest.param(
        {}, counts(current=2, updated=1, ready=1), [pod_body("old", ready=True), pod_body("new")],
        {"Ready": ("False", "RollingOut"), "Available": ("True", "MinimumReady"), "Progressing": ("True", "Loading")},
        id="a rollout",
    ),
    pytest.param(
        {}, counts(current=2, updated=1, ready=1),
        [pod_body("old", ready=True), pod_body("new", containerStatuses=[container(**BAD_IMAGE)])],
        {"Ready": ("False", "RollingOut"), "Available": ("True", "MinimumReady"),
         "Progressing": ("False", "ImageUnusable")},
        id="a rollout that is stuck",
    ),
    pytest.param(
        {}, counts(current=1, updated=1, ready=1, observed_generation=0), [pod_body(ready=True)],
        {"Ready": ("False", "RollingOut"), "Available": ("True", "MinimumReady"), "Progressing": ("True", "Loading")},
        id="a change that nobody has seen yet",
    ),
    pytest.param(
        {}, counts(current=3, updated=3, ready=3), [pod_body(name, ready=True) for name in "abc"],
        {"Ready": ("True", "Available"), "Available": ("True", "MinimumReady"), "Progressing": ("True", "Draining")},
        id="two are to go",
    ),
    pytest.param(
        {"suspend": True}, counts(current=0, updated=0, ready=0), [],
        {"Ready": ("False", "Suspended"), "Available": ("False", "NoneReady"), "Progressing": ("False", "Complete")},
        id="suspended",
    ),
    pytest.param(
        {"replicas": 0}, counts(current=0, updated=0, ready=0), [],
        {"Ready": ("True", "Available"), "Available": ("False", "NoneReady"), "Progressing": ("False", "Complete")},
        id="none wanted",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "live", "pods", "expected"), CASES)
def test_conditions(spec: Any, live: Any, pods: Any, expected: dict[str, tuple[str, str]]) -> None:
    assert brief(report(llm_body(**spec), live=live, pods=pods)) == expected


def condition(status: LLMDeploymentStatus, kind: ConditionType) -> Condition:
    return next(c for c in status.conditions if c.type == kind)


def test_a_quota_is_told_in_the_clusters_words() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus"}
    status = report(llm_body(), live=counts(current=0, updated=0, ready=0) | {"conditions": [failure]})
    found = condition(status, ConditionType.PROGRESSING)
    assert (found.reason, found.message) == ("Stuck", "exceeded quota: gpus")


FAILURE = explain(
    1, "Error", "ValueError: User-specified max_model_len (9) is greater than the derived max_model_len (n=8"
)
HOLD = StartHold(
    inputs="H",
    reason=Reason.CONTEXT_TOO_LONG,
    message="Too long. Make it shorter.",
    blames_spec=True,
    failures=3,
    holds=1,
    until=int(NOW),
    is_rolled_back=False,
)


def test_a_held_start_says_what_failed_how_often_what_serves_when_it_is_tried_again_and_what_to_do() -> None:
    start = Start(replicas=0, aim=Aim.ANY, hold=HOLD)
    status = report(llm_body(replicas=2), live=counts(current=0, updated=0, ready=0), start=start)
    found = condition(status, ConditionType.PROGRESSING)
    assert (found.status, found.reason) == ("False", "StartHeld")
    assert found.message == (
        "ContextTooLong: Too long. Make it shorter. The start failed 3 times and is held; no replica runs meanwhile, "
        "so the GPUs are free. It is tried again at 2026-11-18T11:06:40Z; a corrected spec is tried at once."
    )
    assert condition(status, ConditionType.READY).reason == "StartHeld"
    assert condition(status, ConditionType.READY).message.startswith("0 of 2 replicas are ready; ContextTooLong: ")
    assert condition(status, ConditionType.AVAILABLE).status == "False"
    valid = condition(status, ConditionType.SPEC_VALID)
    assert (valid.status, valid.reason, valid.message) == ("False", "ContextTooLong", "Too long. Make it shorter.")


def test_replicas_of_an_earlier_spec_are_available_but_the_spec_is_not_ready() -> None:
    """Every pod is of the Deployment's template, which is not the spec's."""
    start = Start(replicas=1, aim=Aim.EARLIER, hold=replace(HOLD, is_rolled_back=True))
    live = counts(current=1, updated=1, ready=1)
    status = report(llm_body(), live=live, pods=[pod_body(ready=True)], start=start)
    assert brief(status) == {
        "Ready": ("False", "StartHeld"),
        "Available": ("True", "MinimumReady"),
        "Progressing": ("False", "StartHeld"),
    }
    assert "1 replicas of the earlier spec serve meanwhile" in condition(status, ConditionType.PROGRESSING).message
    assert (status.updated_replicas, status.ready_replicas) == (0, 1)


def test_while_it_is_tried_again_the_engines_verdict_stands() -> None:
    start = Start(replicas=1, hold=HOLD)
    status = report(llm_body(), live=counts(current=1, updated=1, ready=0), pods=[pod_body()], start=start)
    assert condition(status, ConditionType.PROGRESSING).reason == "Loading"
    assert condition(status, ConditionType.SPEC_VALID).status == "False"


def test_what_the_engine_says_of_the_spec_is_told_before_the_start_is_held() -> None:
    start = Start(replicas=1, failure=FAILURE)
    status = report(llm_body(), live=counts(current=1, updated=1, ready=0), start=start)
    assert condition(status, ConditionType.SPEC_VALID).reason == "ContextTooLong"
    assert condition(status, ConditionType.READY).reason == "Starting"


def test_a_failure_that_may_have_another_cause_does_not_blame_the_spec() -> None:
    start = Start(replicas=1, failure=replace(FAILURE, blames_spec=False))
    status = report(llm_body(), live=counts(current=1, updated=1, ready=0), start=start)
    assert condition(status, ConditionType.SPEC_VALID).status == "True"


def test_what_is_left_of_an_evicted_pod_does_not_make_a_whole_fleet_stuck() -> None:
    evicted = pod_body("gone", phase="Failed", reason="Evicted", message="memory")
    live = counts(current=1, updated=1, ready=1)
    assert brief(report(llm_body(), live=live, pods=[pod_body(ready=True), evicted]))["Progressing"][1] == "Complete"


def test_a_late_rollout_without_another_cause_is_stuck() -> None:
    late = {"type": "Progressing", "status": "False", "message": "ReplicaSet has timed out progressing."}
    status = report(llm_body(), live=counts(current=1, updated=1, ready=0) | {"conditions": [late]})
    assert condition(status, ConditionType.PROGRESSING).message == "ReplicaSet has timed out progressing."


def test_an_error_is_told_and_what_runs_stays_available() -> None:
    problems = (
        Problem(Reason.FORBIDDEN, "Remove it."),
        Problem(Reason.VALID_WITH_WARNINGS, "Risky.", Severity.WARNING),
    )
    status = report(
        llm_body(), live=counts(current=1, updated=1, ready=1), pods=[pod_body(ready=True)], problems=problems
    )
    assert condition(status, ConditionType.SPEC_VALID).message == "Remove it."
    assert condition(status, ConditionType.READY).reason == "Invalid"
    assert condition(status, ConditionType.AVAILABLE).status == "True"
    assert status.observed_generation == 1


def test_warnings_do_not_stop_anything() -> None:
    problems = (Problem(Reason.VALID_WITH_WARNINGS, "Risky.", Severity.WARNING),)
    status = report(
        llm_body(), live=counts(current=1, updated=1, ready=1), pods=[pod_body(ready=True)], problems=problems
    )
    assert condition(status, ConditionType.SPEC_VALID).reason == "ValidWithWarnings"
    assert condition(status, ConditionType.READY).status == "True"


def test_a_spec_that_could_not_be_applied_is_not_called_observed() -> None:
    before = report(llm_body(), live=counts(current=1, updated=1, ready=1), pods=[pod_body(ready=True)])
    target = llm_body(generation=2, status=before.dump(), engine={"maxNumSeqs": 7})
    status = report(target, live=counts(current=1, updated=1, ready=1), delayed="the API server answers 500")
    assert status.observed_generation == 1
    assert {c.observed_generation for c in status.conditions} == {1}
    assert condition(status, ConditionType.READY).status == "False"
    assert "answers 500" in condition(status, ConditionType.PROGRESSING).message


def test_numbers_and_names() -> None:
    status = report(llm_body(replicas=3), live=counts(current=3, updated=2, ready=1), startup_seconds=50)
    assert (status.ready, status.replicas, status.updated_replicas, status.ready_replicas) == ("1/3", 3, 2, 1)
    assert status.url == "http://qwen.team.svc:8000/v1"
    assert status.selector == "llmfleet.io/deployment=qwen"
    assert status.gpu_profile == "gpu"
    assert status.engine is not None
    assert (status.engine.version, status.engine.startup_seconds) == ("0.32.0", 50)


def test_the_version_that_the_engine_tells_goes_before_the_tag() -> None:
    live = counts(current=1, updated=1, ready=1)
    status = report(llm_body(), live=live, report=Report(version="0.33.0"))
    assert status.engine is not None
    assert status.engine.version == "0.33.0"


def test_an_object_that_cannot_be_read_keeps_what_is_known() -> None:
    before = report(llm_body(replicas=2), live=counts(current=2, updated=2, ready=2), startup_seconds=50)
    children = running(llm_body(replicas=2), status=counts(current=2, updated=2, ready=2))
    target = llm_body(generation=2, status=before.dump(), replicas=-1)
    problem = Problem(Reason.NOT_READABLE, "replicas: too small")
    findings = Findings(observed=observed(target, children), deployment=None, problems=(problem,))
    status = build(findings, SETTINGS, now=LATER)
    assert (status.ready, status.gpu_profile, status.engine) == ("2/2", "gpu", before.engine)


def scaled(*, kv: int, reason: Reason = Reason.SCALING) -> Report:
    signals = ScalingSignals(replicas_observed=1, kv_cache_usage_percent=kv)
    return Report(
        scaling=ScalingStatus(desired_replicas=2, reason=reason, message="why", signals=signals), kv_cache_tokens=8192
    )


def test_the_autoscalers_words_are_passed_on() -> None:
    status = report(llm_body(**SCALED), live=counts(current=1, updated=1, ready=1), report=scaled(kv=61))
    assert status.kv_cache_usage == "61%"
    assert status.scaling is not None
    assert status.scaling.desired_replicas == 2
    assert status.engine is not None
    assert status.engine.kv_cache_tokens == 8192
    found = condition(status, ConditionType.SCALING_ACTIVE)
    assert (found.status, found.reason, found.message) == ("True", "Scaling", "why")


@pytest.mark.parametrize("reason", [Reason.HELD_STALE, Reason.QUOTA_EXCEEDED, Reason.REPLICAS_OWNED_ELSEWHERE])
def test_replicas_that_do_not_follow_the_load_are_not_active(reason: Reason) -> None:
    status = report(llm_body(**SCALED), live=counts(current=1, updated=1, ready=1), report=scaled(kv=1, reason=reason))
    assert condition(status, ConditionType.SCALING_ACTIVE).status == "False"


def test_before_the_first_decision_the_stored_one_stands() -> None:
    """So that a restart of the operator writes nothing."""
    live = counts(current=1, updated=1, ready=1)
    before = report(llm_body(**SCALED), live=live, report=scaled(kv=61))
    after = report(llm_body(status=before.dump(), **SCALED), live=live)
    assert after == before
    assert condition(report(llm_body(**SCALED), live=live), ConditionType.SCALING_ACTIVE).status == "Unknown"


def test_without_scaling_nothing_is_said_of_it() -> None:
    live = counts(current=1, updated=1, ready=1)
    before = report(llm_body(**SCALED), live=live, report=scaled(kv=61))
    status = report(llm_body(status=before.dump()), live=live, report=scaled(kv=61))
    assert (status.scaling, status.kv_cache_usage) == (None, None)
    assert condition(status, ConditionType.SCALING_ACTIVE).reason == "Disabled"


SERVING = counts(current=2, updated=2, ready=2)
HANGS = "a has 3 requests in flight and no engine step for 150 s, and is not replaced: another replica starts or ends"


def test_a_hung_replica_does_not_count_as_one_that_answers() -> None:
    """Kubernetes calls it ready, since /health answers."""
    pods = [pod_body(name, ready=True) for name in "ab"]
    status = report(llm_body(replicas=2), live=SERVING, pods=pods, report=Report(hung=(HANGS,)))
    assert brief(status)["Ready"] == ("False", "EngineHung")
    assert condition(status, ConditionType.READY).message == HANGS
    assert condition(status, ConditionType.AVAILABLE).message == "1 replica answers"
    alone = report(llm_body(replicas=2), live=SERVING, pods=pods, report=Report(hung=(HANGS, HANGS)))
    assert brief(alone)["Available"] == ("False", "NoneReady")


def test_replacements_are_told_and_kept_while_the_loop_is_silent() -> None:
    done = Report(replaced=(Replacement(NOW, "a", "a had 3 requests in flight; it was replaced"),))
    status = report(llm_body(), live=SERVING, report=done)
    assert [(one.pod, one.reason) for one in status.replacements] == [("a", "EngineHung")]
    after = report(llm_body(status=status.dump()), live=SERVING)
    assert after.replacements == status.replacements


def test_recommendations_are_passed_on_and_kept_while_the_loop_is_silent() -> None:
    advice = Recommendation(reason=Advice.RAISE_MAX_NUM_SEQS, message="raise it", since="2026-11-22T12:00:00Z")
    status = report(llm_body(), live=SERVING, report=Report(recommendations=(advice,)))
    assert status.recommendations == (advice,)
    assert report(llm_body(status=status.dump()), live=SERVING).recommendations == (advice,)
    assert report(llm_body(status=status.dump()), live=SERVING, report=Report()).recommendations == ()


def test_the_same_findings_make_the_same_status() -> None:
    live = counts(current=1, updated=1, ready=1)
    first = report(llm_body(), live=live)
    findings = Findings(
        observed=observed(llm_body(status=first.dump()), running(llm_body(), status=live)),
        deployment=parsed(llm_body()),
    )
    assert build(findings, SETTINGS, now=LATER) == first


def test_a_transition_has_its_time_and_another_message_has_not() -> None:
    old = merge([], [Judgement(ConditionType.READY, "False", Reason.STARTING, "0 of 1")], generation=1, now="then")
    still = merge(old, [Judgement(ConditionType.READY, "False", Reason.ROLLING_OUT, "1 of 2")], generation=2, now="now")
    assert (still[0].last_transition_time, still[0].reason, still[0].observed_generation) == ("then", "RollingOut", 2)
    turned = merge(still, [Judgement(ConditionType.READY, "True", Reason.AVAILABLE, "2 of 2")], generation=2, now="now")
    assert turned[0].last_transition_time == "now"


PLANNED: dict[str, Any] = {"engine": {"maxModelLen": 8192}}


def settled(target: dict[str, Any], *, tokens: int | None, can_measure: bool = True) -> LLMDeploymentStatus:
    """The status of an object at rest, whose engines say how much their KV cache holds."""
    known = read(observed(target).target, H100)
    return report(
        target,
        live=counts(current=1, updated=1, ready=1),
        pods=[pod_body(ready=True)],
        problems=known.problems,
        plan=known.plan,
        report=Report(kv_cache_tokens=tokens),
        can_measure=can_measure,
    )


def plan_of(status: LLMDeploymentStatus) -> PlanStatus:
    assert status.plan is not None
    return status.plan


def test_the_plan_is_shown_with_its_numbers() -> None:
    """Qwen3-8B on an H100 of 80 GiB: 16.4 GB of weights, 144 KiB a token."""
    plan = plan_of(settled(llm_body(**PLANNED), tokens=None))
    assert (plan.verdict, plan.model_known, plan.architecture) == ("Fits", True, "Qwen/Qwen3-8B")
    assert plan.weights_bytes_per_gpu == pytest.approx(16.4e9, rel=0.01)
    assert (plan.kv_bytes_per_token, plan.max_model_len, plan.largest_max_model_len) == (147456, 8192, 40960)
    assert plan.kv_cache_tokens is not None
    assert plan.max_concurrent_sequences == plan.kv_cache_tokens // 8192
    assert (plan.measured_kv_cache_tokens, plan.difference_percent) == (None, None)


def test_a_model_that_is_not_known_has_no_numbers_but_words() -> None:
    plan = plan_of(settled(llm_body(model={"source": "team/secret"}), tokens=5))
    assert (plan.verdict, plan.model_known, plan.measured_kv_cache_tokens) == (None, False, None)
    assert plan.message.startswith("There is no memory plan: team/secret is not among the well-known models")


@pytest.mark.parametrize(("share", "reason"), [(1.0, "Valid"), (0.91, "Valid"), (0.89, "ValidWithWarnings")])
def test_what_is_measured_stands_beside_the_plan(share: float, reason: str) -> None:
    """A difference of more than 10 % is a warning, and an Event."""
    target = llm_body(**PLANNED)
    before = settled(target, tokens=None)
    planned = plan_of(before).kv_cache_tokens or 0
    after = settled(target, tokens=int(planned * share))
    assert plan_of(after).difference_percent == round(100 * (share - 1))
    valid = next(c for c in after.conditions if c.type == ConditionType.SPEC_VALID)
    assert (valid.status, valid.reason) == ("True", reason)
    told = [draft for draft in transitions(before, after) if "that were planned" in draft.message]
    assert len(told) == (reason != "Valid")


def test_a_difference_is_told_once_also_beside_other_warnings() -> None:
    target = llm_body(engine={"maxModelLen": 8192, "gpuMemoryUtilization": 0.955})
    before = settled(target, tokens=None)
    after = settled(target, tokens=1000)
    assert [draft.type for draft in transitions(before, after)] == ["Warning"]
    assert transitions(after, after) == []


def test_what_was_measured_stays_for_its_generation_only() -> None:
    target = llm_body(**PLANNED)
    first = settled(target, tokens=1000)
    assert plan_of(settled(target | {"status": first.dump()}, tokens=None)).measured_kv_cache_tokens == 1000
    changed = llm_body(generation=2, status=first.dump(), **PLANNED)
    assert plan_of(settled(changed, tokens=None)).measured_kv_cache_tokens is None


def test_replicas_of_an_earlier_spec_are_not_measured() -> None:
    assert plan_of(settled(llm_body(**PLANNED), tokens=1000, can_measure=False)).difference_percent is None
