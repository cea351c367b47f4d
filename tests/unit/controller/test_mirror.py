"""What is told of an autoscaler that the operator made, by its conditions in Kubernetes' own words."""

from dataclasses import replace
from typing import Any

import pytest

from llmfleet.api.conditions import ConditionType, Reason
from llmfleet.api.status import LLMDeploymentStatus, ScalingSignals, ScalingStatus
from llmfleet.controller.mirror import Verdict, verdict
from llmfleet.controller.status import Findings, build, condition
from llmfleet.scaling.report import Report
from tests.unit.controller.bodies import SETTINGS, observed, parsed, running
from tests.unit.kube.bodies import NOON, llm_body

MODE: dict[str, Any] = {"scaling": {"mode": "HPA", "minReplicas": 1, "maxReplicas": 6}, "replicas": 3}
UNABLE = "the HPA was unable to compute the replica count: unable to get metric gpu_cache_usage_perc: "


def conditions(**changed: tuple[str, str, str]) -> list[dict[str, str]]:
    """As they are while all is well, with some in another state."""
    well = {
        "AbleToScale": ("True", "ReadyForNewScale", "recommended size matches current size"),
        "ScalingActive": ("True", "ValidMetricFound", "the HPA was able to successfully calculate a replica count"),
        "ScalingLimited": ("False", "DesiredWithinRange", "the desired count is within the acceptable range"),
    }
    return [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, (status, reason, message) in (well | changed).items()
    ]


def bodies(status: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    found = running(llm_body(**MODE))
    if status is not None:
        found["HorizontalPodAutoscaler"]["status"] = status
    return found


def told(status: dict[str, Any] | None, **spec: Any) -> Verdict:
    target = llm_body(**{**MODE, **spec})
    found = verdict(observed(target, bodies(status)), parsed(target))
    assert found is not None
    return found


LOOKED = {"desiredReplicas": 3, "currentReplicas": 3, "lastScaleTime": NOON}


@pytest.mark.parametrize(
    ("changed", "status", "reason", "words"),
    [
        pytest.param(
            {}, "True", Reason.SCALING,
            "the HorizontalPodAutoscaler asks for 3 replicas; minReplicas is 1 and maxReplicas 6",
            id="all is well",
        ),
        pytest.param(
            {"ScalingLimited": ("True", "TooManyReplicas", "the desired replica count is more than the maximum")},
            "True", Reason.AT_MAXIMUM, "maxReplicas 6, and the load asks for more",
            id="at the maximum",
        ),
        pytest.param(
            {"ScalingLimited": ("True", "TooFewReplicas", "the desired replica count is less than the minimum")},
            "True", Reason.SCALING, "asks for 3 replicas",
            id="at the minimum all is well",
        ),
        pytest.param(
            {"ScalingActive": ("False", "FailedGetPodsMetric", f"{UNABLE}no custom metrics API (x) registered")},
            "False", Reason.METRICS_API_MISSING, "Install prometheus-adapter with the rules of",
            id="nobody serves metrics",
        ),
        pytest.param(
            {"ScalingActive": ("False", "FailedGetPodsMetric", f"{UNABLE}no metrics returned from custom metrics API")},
            "False", Reason.HELD_MISSING_METRICS, "Prometheus has to scrape the engines",
            id="the metric is missing",
        ),
        pytest.param(
            {"ScalingActive": ("False", "ScalingDisabled", "scaling is disabled since the replica count is zero")},
            "False", Reason.DISABLED, "Set spec.replicas to 1 or more",
            id="turned off by zero replicas",
        ),
        pytest.param(
            {"ScalingActive": ("False", "AmbiguousSelector", "pods by selector are controlled by multiple HPAs")},
            "False", Reason.REPLICAS_OWNED_ELSEWHERE, "Another HorizontalPodAutoscaler has the same pods: remove it",
            id="a second one",
        ),
        pytest.param(
            {"ScalingActive": ("False", "InvalidSelector", "the HPA target's scale is missing a selector")},
            "False", Reason.AUTOSCALER_FAILED, "is missing a selector (InvalidSelector)",
            id="something else",
        ),
        pytest.param(
            {"AbleToScale": ("False", "FailedGetScale", "the HPA controller was unable to get the target's scale")},
            "False", Reason.AUTOSCALER_FAILED, "3 replicas stay: the HorizontalPodAutoscaler cannot scale",
            id="cannot scale",
        ),
    ],
)  # fmt: skip
def test_its_conditions(changed: dict[str, tuple[str, str, str]], status: str, reason: Reason, words: str) -> None:
    found = told(LOOKED | {"conditions": conditions(**changed)})
    assert (found.status, found.reason) == (status, reason)
    assert words in found.message


def test_what_it_has_not_looked_at_is_unknown() -> None:
    """An HPA's status says 0 desired replicas from the start: that is no wish."""
    found = told({"desiredReplicas": 0, "currentReplicas": 0})
    assert (found.status, found.reason, found.desired) == ("Unknown", Reason.AUTOSCALER_PENDING, None)


def test_its_number_and_time_are_passed_on_only_while_it_works() -> None:
    well = told(LOOKED | {"conditions": conditions()})
    assert (well.desired, well.scaled_at) == (3, NOON)
    blind = told(LOOKED | {"conditions": conditions(ScalingActive=("False", "FailedGetPodsMetric", UNABLE))})
    assert blind.desired is None


@pytest.mark.parametrize("spec", [{"scaling": None}, {"suspend": True}], ids=["nobody scales", "suspended"])
def test_where_there_should_be_none_nothing_is_told(spec: dict[str, Any]) -> None:
    target = llm_body(**{**MODE, **spec})
    assert verdict(observed(target, bodies(None)), parsed(target)) is None


def test_one_that_is_on_its_way_out_keeps_the_built_in_autoscaler_waiting() -> None:
    found = told(None, scaling={"mode": "Builtin", "maxReplicas": 6})
    assert (found.status, found.reason) == ("Unknown", Reason.AUTOSCALER_PENDING)
    assert "the HorizontalPodAutoscaler of another spec.scaling.mode has to go first" in found.message


def status_with(report: Report | None, hpa: dict[str, Any]) -> LLMDeploymentStatus:
    target = llm_body(**MODE)
    findings = Findings(observed=observed(target, bodies(hpa)), deployment=parsed(target), report=report)
    return build(findings, SETTINGS, now=1795000000.0)


def test_the_status_has_its_number_beside_what_the_engines_say() -> None:
    signals = ScalingSignals(replicas_observed=3, kv_cache_usage_percent=61)
    report = Report(scaling=ScalingStatus(signals=signals))
    found = status_with(report, LOOKED | {"conditions": conditions()})
    assert found.scaling is not None
    assert (found.scaling.desired_replicas, found.scaling.reason) == (3, "Scaling")
    assert (found.scaling.signals, found.scaling.last_scale_time) == (signals, NOON)
    assert found.kv_cache_usage == "61%"
    active = condition(found, ConditionType.SCALING_ACTIVE)
    assert active is not None
    assert (active.status, active.message) == ("True", found.scaling.message)


def test_a_report_of_the_time_before_does_not_speak_for_the_built_in_autoscaler() -> None:
    """Right after a change of mode the loop has shown what it saw, and has not decided."""
    target = llm_body(scaling={"maxReplicas": 4})
    findings = Findings(
        observed=observed(target, running(target)),
        deployment=parsed(target),
        report=Report(scaling=ScalingStatus(signals=ScalingSignals(replicas_observed=1))),
    )
    active = condition(build(findings, SETTINGS, now=1795000000.0), ConditionType.SCALING_ACTIVE)
    assert active is not None
    assert (active.status, active.reason) == ("Unknown", "HeldAfterRestart")


BY_KEDA: dict[str, Any] = {"scaling": {"mode": "KEDA", "minReplicas": 1, "maxReplicas": 6}, "replicas": 3}
WELL = {
    "Ready": ("True", "ScaledObjectReady", "ScaledObject is defined correctly and is ready for scaling"),
    "Active": ("True", "ScalerActive", "Scaling is performed because triggers are active"),
    "Fallback": ("False", "NoFallbackFound", "No fallbacks are active on this scaled object"),
    "Paused": ("False", "ScaledObjectUnpaused", "pause annotation removed for ScaledObject"),
}


def keda_bodies(
    said: dict[str, tuple[str, str, str]] | None, hpa: list[dict[str, str]] | None
) -> dict[str, dict[str, Any]]:
    """A ScaledObject with these conditions, and the HorizontalPodAutoscaler that KEDA made for it."""
    found = running(llm_body(**BY_KEDA))
    found["ScaledObject"]["status"] = {
        "conditions": [
            {"type": kind, "status": status, "reason": reason, "message": message}
            for kind, (status, reason, message) in (said or {}).items()
        ]
    }
    if hpa is not None:
        meta = {"name": "keda-hpa-qwen", "namespace": "team", "uid": "k", "resourceVersion": "3"}
        found["keda-hpa"] = {"metadata": meta, "spec": {}, "status": LOOKED | {"conditions": hpa}}
    return found


def told_by_keda(
    said: dict[str, tuple[str, str, str]] | None, hpa: list[dict[str, str]] | None = None, *, missing: str = ""
) -> Verdict:
    target = llm_body(**BY_KEDA)
    seen = replace(observed(target, keda_bodies(said, hpa)), keda_missing=missing)
    found = verdict(seen, parsed(target))
    assert found is not None
    return found


UNSEEN = "unable to get external metric team/s0-prometheus: unable to fetch metrics from external metrics API: "


@pytest.mark.parametrize(
    ("said", "hpa", "status", "reason", "words"),
    [
        pytest.param(
            WELL, conditions(), "True", Reason.SCALING, "KEDA's HorizontalPodAutoscaler asks for 3 replicas",
            id="all is well",
        ),
        pytest.param(
            WELL | {"Active": ("False", "ScalerNotActive", "Scaling is not performed because triggers are not active")},
            conditions(), "True", Reason.SCALING, "asks for 3 replicas",
            id="without load all is well",
        ),
        pytest.param(
            WELL, conditions(ScalingLimited=("True", "TooManyReplicas", "more than the maximum")),
            "True", Reason.AT_MAXIMUM, "and the load asks for more",
            id="at the maximum",
        ),
        pytest.param(
            None, None, "Unknown", Reason.AUTOSCALER_PENDING, "KEDA has not looked at the ScaledObject yet",
            id="not looked at",
        ),
        pytest.param(
            WELL, None, "Unknown", Reason.AUTOSCALER_PENDING, "KEDA's HorizontalPodAutoscaler has not looked yet",
            id="no HPA yet",
        ),
        pytest.param(
            WELL | {"Fallback": ("True", "FallbackExists", "At least one trigger is falling back")}, conditions(),
            "False", Reason.HELD_MISSING_METRICS, "KEDA gets no metrics and keeps the number: At least one trigger",
            id="it falls back",
        ),
        pytest.param(
            WELL | {"Ready": ("Unknown", "PartialTriggerError", "Some triggers are not working correctly")},
            conditions(), "False", Reason.HELD_MISSING_METRICS, "Some triggers are not working correctly",
            id="one trigger fails",
        ),
        pytest.param(
            WELL, conditions(ScalingActive=("False", "FailedGetExternalMetric", f"{UNSEEN}the result is empty")),
            "False", Reason.HELD_MISSING_METRICS, "Prometheus the engines, with the labels namespace, pod and",
            id="its first failures",
        ),
        pytest.param(
            WELL,
            conditions(
                ScalingActive=("False", "FailedGetExternalMetric", f"{UNSEEN}no external metrics API (x) registered")
            ),
            "False", Reason.METRICS_API_MISSING, "Install KEDA with its metrics server",
            id="no metrics server",
        ),
        pytest.param(
            WELL | {"Ready": ("False", "ScaledObjectCheckFailed", "failed to ensure HPA is correctly created")},
            conditions(), "False", Reason.AUTOSCALER_FAILED, "3 replicas stay: KEDA cannot scale: failed to ensure HPA",
            id="refused",
        ),
        pytest.param(
            WELL | {"Paused": ("True", "ScaledObjectPaused", "ScaledObject is paused")}, conditions(),
            "False", Reason.AUTOSCALER_PAUSED, "Remove the annotations autoscaling.keda.sh/paused",
            id="paused",
        ),
    ],
)  # fmt: skip
def test_conditions_of_keda(
    said: dict[str, tuple[str, str, str]] | None,
    hpa: list[dict[str, str]] | None,
    status: str,
    reason: Reason,
    words: str,
) -> None:
    found = told_by_keda(said, hpa)
    assert (found.status, found.reason) == (status, reason)
    assert words in found.message


def test_a_cluster_without_keda_is_told_what_to_do() -> None:
    found = told_by_keda(None, missing="the server could not find the requested resource")
    assert (found.status, found.reason) == ("False", Reason.KEDA_MISSING)
    assert "Install KEDA 2.18 or newer, which is noticed within a minute" in found.message


@pytest.mark.parametrize("left", ["ScaledObject", "keda-hpa"])
def test_keda_goes_before_another_mode_begins(left: str) -> None:
    """Its HorizontalPodAutoscaler may outlive the ScaledObject for a moment."""
    target = llm_body(scaling={"mode": "HPA", "maxReplicas": 6})
    found = verdict(observed(target, {left: keda_bodies(WELL, conditions())[left]}), parsed(target))
    assert found is not None
    assert (found.reason, "the ScaledObject of another" in found.message) == (Reason.AUTOSCALER_PENDING, True)
