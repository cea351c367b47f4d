"""Observations, problems and the autoscaler's last decision -> the status to write. Pure.

It says what was seen, not what is hoped. `scaling.status` takes care that numbers which always move are news only once
a minute; here nothing depends on the time but the moment of a transition.
"""

from dataclasses import dataclass

from llmfleet.api.conditions import ConditionType, Reason
from llmfleet.api.settings import Settings
from llmfleet.api.status import (
    TEXT_LENGTH,
    Condition,
    EngineStatus,
    LLMDeploymentStatus,
    PlanStatus,
    Recommendation,
    ReplacementRecord,
    ScalingStatus,
)
from llmfleet.api.v1alpha1 import PORT, LLMDeployment
from llmfleet.controller.conditions import Judgement, Scene, judge, merge
from llmfleet.controller.mirror import Verdict, verdict
from llmfleet.controller.observed import Observed
from llmfleet.controller.starts import Start
from llmfleet.engine.memory import plan_status
from llmfleet.engine.problem import Problem, warning
from llmfleet.engine.version import image_of, version_of
from llmfleet.manifests.names import selector_text
from llmfleet.scaling.clock import rfc3339
from llmfleet.scaling.report import Report

FOLLOWING = frozenset({Reason.SCALING, Reason.AT_MAXIMUM})
"""Reasons with which ScalingActive is True."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one pass found out."""

    observed: Observed
    deployment: LLMDeployment | None
    """None if the stored object cannot be read."""
    problems: tuple[Problem, ...] = ()
    delayed: str = ""
    start: Start | None = None
    """What failed starts have to say; None if nothing is to be applied."""
    report: Report | None = None
    """What the scaling loop said last."""
    startup_seconds: int | None = None
    plan: PlanStatus | None = None
    can_measure: bool = False
    """Whether what the engines say of their KV cache is of the present spec, and counted as the plan counts."""


def previous_of(observed: Observed) -> LLMDeploymentStatus:
    """The status that is stored; an empty one where there is none, or none that can be read."""
    try:
        return LLMDeploymentStatus.model_validate(observed.target.status)
    except ValueError:
        return LLMDeploymentStatus()


def build(findings: Findings, settings: Settings, *, now: float) -> LLMDeploymentStatus:
    """The status.

    Args:
        findings: what the pass found.
        settings: the administrator's.
        now: Unix time, seconds.
    """
    observed, deployment = findings.observed, findings.deployment
    previous = previous_of(observed)
    live, target = observed.deployment, observed.target
    wanted = _wanted(findings)
    generation = (previous.observed_generation or 0) if findings.delayed else target.generation
    told = verdict(observed, deployment) if deployment else None
    scaling = _scaling(findings, previous, told)
    plan = _plan(findings, previous)
    missed = plan_status.surprise(plan) if plan else ""
    scene = Scene(
        observed=observed,
        wanted=wanted,
        suspended=bool(deployment and deployment.spec.suspend),
        problems=(*findings.problems, warning(missed)) if missed else findings.problems,
        delayed=findings.delayed,
        hung=findings.report.hung if findings.report else (),
        start=findings.start,
        scaling=_scaling_active(findings, previous, told),
    )
    return LLMDeploymentStatus(
        observed_generation=generation,
        replicas=live.current if live else 0,
        ready_replicas=live.ready if live else 0,
        updated_replicas=live.updated if live and not scene.is_rolled_back else 0,
        selector=selector_text(target.name),
        ready=f"{scene.ready}/{wanted}",
        kv_cache_usage=_kv_cache_usage(scaling),
        gpu_profile=_profile(findings, settings) or previous.gpu_profile,
        url=f"http://{target.name}.{target.namespace}.svc:{PORT}/v1",
        conditions=merge(previous.conditions, judge(scene), generation=generation, now=rfc3339(now)),
        plan=plan,
        scaling=scaling,
        engine=_engine(findings, previous, settings),
        replacements=_replacements(findings, previous),
        recommendations=_recommendations(findings, previous),
    )


def condition(status: LLMDeploymentStatus, kind: ConditionType) -> Condition | None:
    """The condition of that type."""
    return next((c for c in status.conditions if c.type == kind), None)


def _wanted(findings: Findings) -> int:
    """Replicas that there should be; of a spec that cannot be applied, those of the one before."""
    live = findings.observed.deployment
    if findings.deployment is None:
        return live.wanted if live else 0
    return findings.deployment.wanted_replicas


def _is_scaled(findings: Findings) -> bool:
    deployment = findings.deployment
    return deployment is not None and deployment.spec.scaling is not None and not deployment.spec.suspend


def _scaling(findings: Findings, previous: LLMDeploymentStatus, told: Verdict | None) -> ScalingStatus | None:
    """The autoscaler's view; the stored one until it has decided. `told` is what another than the operator says."""
    if not _is_scaled(findings):
        return None
    if told is None:
        return _decided(findings) or previous.scaling
    seen = (findings.report.scaling if findings.report else None) or previous.scaling or ScalingStatus()
    own = seen.model_dump(exclude={"desired_replicas", "reason", "message", "last_scale_time"})
    return ScalingStatus(
        desired_replicas=told.desired,
        reason=told.reason,
        message=told.message[:TEXT_LENGTH],
        last_scale_time=told.scaled_at or seen.last_scale_time,
        **own,
    )


def _decided(findings: Findings) -> ScalingStatus | None:
    """What the autoscaler decided; None until it has."""
    told = findings.report.scaling if findings.report else None
    return told if told is not None and told.reason else None


def _scaling_active(findings: Findings, previous: LLMDeploymentStatus, told: Verdict | None) -> Judgement:
    """Replicas follow the load."""
    kind = ConditionType.SCALING_ACTIVE
    if not _is_scaled(findings):
        return Judgement(kind, "False", Reason.DISABLED, "spec.scaling is absent, or the object is suspended")
    if told is not None:
        return Judgement(kind, told.status, told.reason, told.message)
    if decided := _decided(findings):
        reason = Reason(decided.reason)
        return Judgement(kind, "True" if reason in FOLLOWING else "False", reason, decided.message)
    old = condition(previous, kind)
    if old is not None and old.reason != Reason.DISABLED:
        return Judgement(kind, old.status, Reason(old.reason), old.message)
    return Judgement(kind, "Unknown", Reason.HELD_AFTER_RESTART, "the autoscaler has not decided yet")


def _replacements(findings: Findings, previous: LLMDeploymentStatus) -> tuple[ReplacementRecord, ...]:
    """Hung replicas that were replaced; those that are stored until the loop has spoken."""
    if findings.report is None:
        return previous.replacements
    return tuple(
        ReplacementRecord(time=rfc3339(one.at), pod=one.pod, reason=Reason.ENGINE_HUNG, message=one.message)
        for one in findings.report.replaced
    )


def _recommendations(findings: Findings, previous: LLMDeploymentStatus) -> tuple[Recommendation, ...]:
    """What the loop recommends; those that are stored until it has spoken."""
    return findings.report.recommendations if findings.report else previous.recommendations


def _kv_cache_usage(scaling: ScalingStatus | None) -> str | None:
    signals = scaling.signals if scaling else None
    percent = signals.kv_cache_usage_percent if signals else None
    return None if percent is None else f"{percent}%"


def _profile(findings: Findings, settings: Settings) -> str | None:
    if findings.deployment is None:
        return None
    profile = settings.profile(findings.deployment.spec.gpu.profile)
    return profile.name if profile else None


def _plan(findings: Findings, previous: LLMDeploymentStatus) -> PlanStatus | None:
    """The plan, and what was measured: now, or before of the same generation."""
    if findings.plan is None:
        return None
    tokens = findings.report.kv_cache_tokens if findings.report and findings.can_measure else None
    if tokens is None and previous.plan and previous.observed_generation == findings.observed.target.generation:
        tokens = previous.plan.measured_kv_cache_tokens
    return plan_status.measured(findings.plan, tokens)


def _engine(findings: Findings, previous: LLMDeploymentStatus, settings: Settings) -> EngineStatus | None:
    """What is known of the engines; what is not known this time stays as it was."""
    old = previous.engine or EngineStatus()
    version: str | None = findings.report.version if findings.report else ""
    if not version and findings.deployment is not None:
        found = version_of(image_of(findings.deployment.spec, settings), settings)
        version = str(found) if found else None
    tokens = findings.report.kv_cache_tokens if findings.report else None
    engine = EngineStatus(
        version=version or (old.version if findings.deployment is None else None),
        kv_cache_tokens=old.kv_cache_tokens if tokens is None else tokens,
        startup_seconds=old.startup_seconds if findings.startup_seconds is None else findings.startup_seconds,
    )
    return None if engine == EngineStatus() else engine
