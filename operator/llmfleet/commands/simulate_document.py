"""A simulation as JSON, with camelCase keys as in the status."""

from collections.abc import Mapping
from typing import Any

from llmfleet.commands import simulate_text
from llmfleet.sim.advice import Advice, Goal, Trial
from llmfleet.sim.outcome import Outcome
from llmfleet.sim.scenario import Scenario
from llmfleet.sim.trace import Trace


def document(
    of: Scenario, trace: Trace, goal: Goal, outcomes: Mapping[str, Outcome], advice: Advice | None
) -> dict[str, Any]:
    """Everything as JSON."""
    times = of.fleet.step_time
    return {
        "name": of.name,
        "model": of.model,
        "gpuProfile": of.gpu,
        "gpusPerReplica": of.fleet.gpus_per_replica,
        "kvCacheTokens": (of.fleet.limits.blocks - 1) * of.fleet.limits.block_size,
        "stepTime": {
            "alphaMs": times.alpha_ms, "betaMs": times.beta_ms, "gammaMs": times.gamma_ms, "p": times.p,
            "source": of.step_source,
        },
        "trace": {"requests": len(trace), "seconds": trace.span, "requestsPerSecond": trace.rate},
        "objective": {
            "ttftSeconds": goal.slo.ttft,
            "itlSeconds": None if goal.slo.itl == float("inf") else goal.slo.itl,
            "share": goal.share,
        },
        "rules": {name: _rule_document(of, goal, outcome) for name, outcome in outcomes.items()},
        "advice": None if advice is None else {
            **_trial_document(advice.chosen),
            "reason": advice.reason,
            "trials": [_trial_document(trial) for trial in advice.trials],
        },
        "notes": [*of.notes, *trace.notes],
    }  # fmt: skip


def _rule_document(of: Scenario, goal: Goal, outcome: Outcome) -> dict[str, Any]:
    return {
        "objectiveKept": goal.is_kept(outcome),
        "cost": simulate_text.cost(of, outcome),
        "costPerMillionTokens": simulate_text.cost_per_million(of, outcome),
        **outcome.to_json(goal.slo),
    }


def _trial_document(trial: Trial) -> dict[str, Any]:
    return {
        "objective": trial.scaling.objective.value,
        "minReplicas": trial.scaling.min_replicas,
        "maxReplicas": trial.scaling.max_replicas,
        "sloAttainment": trial.attainment,
        "gpuHours": trial.gpu_hours,
        "objectiveKept": trial.kept,
    }
