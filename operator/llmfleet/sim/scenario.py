"""From an LLMDeployment and the settings to a simulated fleet: what the plan says of memory, and how fast a step is.

Before `fleet.py`, for `llmfleet simulate`: everything that a user states once, in the object or the settings, is taken
from there.
"""

from dataclasses import dataclass, replace

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment, ScalingMode, ScalingSpec
from llmfleet.engine import speed
from llmfleet.engine.memory.plan import MemoryPlan, Verdict
from llmfleet.engine.memory.planning import Outlook, case, outlook
from llmfleet.scaling.config import ScalingConfig
from llmfleet.sim.ours import TIMING, Ours
from llmfleet.sim.profiles import PROFILES, Profile
from llmfleet.sim.sequence import Limits
from llmfleet.sim.spec import FleetSpec, Startup
from llmfleet.sim.steptime import StepTime

BLOCK = 16
"""Tokens in a block of the KV cache."""
ALIKE = 0.05
"""Share by which weights and memory may differ from those of a measured engine."""


class ScenarioError(ValueError):
    """The object cannot be simulated; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One object, ready to be simulated."""

    name: str
    model: str
    gpu: str
    fleet: FleetSpec
    scaling: ScalingSpec
    settings: Settings
    start: speed.Start
    step_source: str
    """Where the step times come from."""
    price_per_hour: float | None
    """Of one GPU, US dollars."""
    notes: tuple[str, ...] = ()

    def with_scaling(self, scaling: ScalingSpec) -> "Scenario":
        """The same with another scaling block."""
        fleet = replace(self.fleet, min_replicas=scaling.min_replicas, max_replicas=scaling.max_replicas)
        return replace(self, scaling=scaling, fleet=fleet)

    def rule(self) -> Ours:
        """The operator's autoscaler, as it would run."""
        periods = self.settings.scaling
        return Ours(
            ScalingConfig.from_spec(self.scaling, self.start),
            timing=replace(TIMING, period=periods.decision_period_seconds, scrape=periods.scrape_period_seconds),
            stale_after=periods.stale_after_seconds,
        )


def scenario(
    deployment: LLMDeployment, settings: Settings, *, startup: Startup | None = None, step_time: StepTime | None = None
) -> Scenario:
    """Everything that a simulation of an object needs.

    Args:
        deployment: the object; without spec.scaling its spec.replicas are held.
        settings: with the GPU profiles.
        startup: how long a pod takes to be Ready; None: two minutes, a fifth more or less.
        step_time: coefficients of a step; None: those measured on the same GPU with a model of the same size, else
            those that the profile's bandwidth and FLOP/s and the model's size give.

    Raises:
        ScenarioError: the model or GPU is unknown, or the model does not fit.
    """
    seen = outlook(case(deployment, settings))
    profile = seen.case.profile
    if seen.plan is None or profile is None or seen.plan.verdict is Verdict.DOES_NOT_FIT:
        raise ScenarioError(f"{deployment.metadata.name}: {seen.message}")
    plan, spec = seen.plan, deployment.spec
    scaling, notes = _scaling(deployment)
    start = speed.start(seen)
    times, source = (step_time, "as given") if step_time else _step_time(seen, plan, start)
    fleet = FleetSpec(
        limits=_limits(plan),
        step_time=times,
        max_model_len=plan.context,
        startup=startup or Startup(),
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        drain_seconds=spec.drain.timeout_seconds,
        gpus_per_replica=plan.setup.gpus,
    )
    return Scenario(
        name=deployment.metadata.name,
        model=seen.case.model,
        gpu=profile.name,
        fleet=fleet,
        scaling=scaling,
        settings=settings,
        start=start,
        step_source=source,
        price_per_hour=profile.price_per_hour,
        notes=notes,
    )


def _scaling(deployment: LLMDeployment) -> tuple[ScalingSpec, tuple[str, ...]]:
    scaling, replicas = deployment.spec.scaling, max(1, deployment.spec.replicas)
    if scaling is None:
        return (
            ScalingSpec(min_replicas=replicas, max_replicas=replicas),
            (f"The object has no spec.scaling, so {replicas} are held, as spec.replicas says.",),
        )
    if scaling.mode is not ScalingMode.BUILTIN:
        return scaling, (
            f"spec.scaling.mode is {scaling.mode.value}; simulated as builtin is the operator's own autoscaler.",
        )
    return scaling, ()


def _limits(plan: MemoryPlan) -> Limits:
    sequences = plan.batch.sequences
    return Limits(
        blocks=max(2, plan.kv_tokens // BLOCK + 1),
        block_size=BLOCK,
        max_num_seqs=sequences,
        max_num_batched_tokens=max(plan.batch.tokens, sequences),
    )


def _step_time(seen: Outlook, plan: MemoryPlan, start: speed.Start) -> tuple[StepTime, str]:
    measured = _measured(seen, plan)
    if measured is not None:
        return measured.step_time(plan.setup.tensor_parallel), f"kept for this GPU and size of model: {measured.source}"
    if start.doubt >= speed.UNKNOWN_DOUBT:
        name = seen.case.profile.name if seen.case.profile else ""
        raise ScenarioError(
            f"nothing is known of the speed of {seen.case.model} on the GPU profile {name}: set the profile's "
            "bandwidthGBs and tflops in the settings, or give --step-time ALPHA,BETA,GAMMA"
        )
    found = start.speed
    return (
        StepTime(found.floor * 1000, found.token * 1000, found.context * 1000),
        "estimated from the profile's bandwidth and FLOP/s and the model's size; expect a third more or less",
    )


def _measured(seen: Outlook, plan: MemoryPlan) -> Profile | None:
    """A measured engine on the same GPU, whose model has weights and KV cache of the same size."""
    setup = plan.setup
    weights = plan.fill.weights.likely * setup.tensor_parallel * setup.pipeline_parallel
    cached = plan.token_bytes * min(setup.tensor_parallel, _kv_heads(seen))
    for profile in PROFILES.values():
        model = profile.model
        is_gpu = seen.case.profile is not None and _family(seen.case.profile.name) == _family(profile.gpu)
        if (
            is_gpu
            and setup.pipeline_parallel == 1
            and _near(plan.gpu.memory_gib, profile.gpu_memory_gib)
            and _near(weights, model.weights_bytes)
            and _near(cached, model.kv_bytes_per_token)
        ):
            return profile
    return None


def _family(name: str) -> str:
    return name.partition("-")[0].lower()


def _near(value: float, other: float) -> bool:
    return abs(value / other - 1) <= ALIKE


def _kv_heads(seen: Outlook) -> int:
    architecture = seen.case.architecture
    heads = [group.kv_heads for group in architecture.kv_groups if group.kv_heads] if architecture else []
    return max(heads, default=1)
