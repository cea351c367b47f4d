"""What scaling block to choose for a trace: a few are played, and the cheapest that keeps the objective is named.

After `fleet.py`, for `llmfleet simulate`. First each objective with free bounds; then, if none does, more replicas at
least; at last the fewest at most that still do. Which targets the object sets for itself stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from llmfleet.api.v1alpha1 import Objective, ScalingMode, ScalingSpec
from llmfleet.sim.accounts import work
from llmfleet.sim.fleet import simulate
from llmfleet.sim.outcome import Outcome, Slo
from llmfleet.sim.scenario import Scenario
from llmfleet.sim.trace import Trace

ROOM = 2.0
"""Replicas that a trial may have, times those that the busiest minute's work would fill."""
ENOUGH = 0.99
"""Share of the time for which the most replicas that are recommended must have been enough."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be kept: by which share of all requests."""

    slo: Slo
    share: float

    def is_kept(self, outcome: Outcome) -> bool:
        """Whether a run keeps it."""
        return outcome.attainment(self.slo) >= self.share


@dataclass(frozen=True, slots=True)
class Trial:
    """One scaling block and what came of it."""

    scaling: ScalingSpec
    attainment: float
    gpu_hours: float
    most: int
    """The most replicas that were wanted."""
    enough: int
    """Those that were enough for nearly all of the time."""
    kept: bool
    middle: int
    """The median of the replicas over time."""


@dataclass(frozen=True, slots=True)
class Advice:
    """The block to choose, and why."""

    chosen: Trial
    reason: str
    trials: tuple[Trial, ...]


def advise(
    scenario: Scenario, trace: Trace, goal: Goal, *, seed: int = 1, progress: Callable[[str], None] = lambda _: None
) -> Advice:
    """Play what might do better than the object's own block; `progress` is told of each trial."""
    trials: list[Trial] = []

    def tried(objective: Objective, least: int, most: int) -> Trial:
        progress(f"trying {objective.value}, {least} to {most} replicas")
        trials.append(_trial(scenario, trace, goal, scaling=_block(scenario, objective, least, most), seed=seed))
        return trials[-1]

    ceiling = _ceiling(scenario, trace)
    best = _best([tried(objective, 1, ceiling) for objective in Objective])
    if not best.kept:
        for least in sorted({2, best.middle, best.enough} - {1}):
            if least <= ceiling and (best := _best([best, tried(best.scaling.objective, least, ceiling)])).kept:
                break
    bounded = _narrowed(best, tried)
    return Advice(bounded, _reason(bounded, trials, goal), tuple(trials))


def _narrowed(best: Trial, tried: Callable[[Objective, int, int], Trial]) -> Trial:
    """The same with fewer replicas at most, where they do as well; else with those that it took."""
    scaling = best.scaling
    if best.enough < best.most:
        fewer = tried(scaling.objective, scaling.min_replicas, max(best.enough, scaling.min_replicas))
        if fewer.kept:
            return fewer
    most = max(best.most, scaling.min_replicas)
    return _replaced(best, scaling.model_copy(update={"max_replicas": most}))


def _replaced(trial: Trial, scaling: ScalingSpec) -> Trial:
    return Trial(
        scaling, trial.attainment, trial.gpu_hours, trial.most, trial.enough, kept=trial.kept, middle=trial.middle
    )


def _block(scenario: Scenario, objective: Objective, least: int, most: int) -> ScalingSpec:
    return scenario.scaling.model_copy(
        update={
            "objective": objective,
            "min_replicas": least,
            "max_replicas": max(least, most),
            "mode": ScalingMode.BUILTIN,
        }
    )


def _trial(scenario: Scenario, trace: Trace, goal: Goal, *, scaling: ScalingSpec, seed: int) -> Trial:
    played = scenario.with_scaling(scaling)
    outcome = simulate(played.fleet, trace, played.rule(), seed=seed)
    return Trial(
        scaling=scaling,
        attainment=outcome.attainment(goal.slo),
        gpu_hours=outcome.gpu_hours,
        most=max(change.replicas for change in outcome.changes),
        enough=outcome.replicas_quantile(ENOUGH),
        kept=goal.is_kept(outcome),
        middle=outcome.replicas_quantile(0.5),
    )


def _best(trials: list[Trial]) -> Trial:
    """The cheapest that keeps the goal; where none does, the one that comes nearest."""
    kept = [trial for trial in trials if trial.kept]
    if kept:
        return min(kept, key=lambda trial: trial.gpu_hours)
    return max(trials, key=lambda trial: trial.attainment)


def _ceiling(scenario: Scenario, trace: Trace) -> int:
    """Replicas that no trial should need."""
    minutes = groupby(trace, key=lambda request: int(request[0] / 60))
    step_time = scenario.fleet.step_time
    busiest = max(sum(work(step_time, prompt, output) for _, prompt, output in requests) for _, requests in minutes)
    return min(1000, max(scenario.scaling.max_replicas, ceil(ROOM * busiest / 60) + 2))


def _reason(chosen: Trial, trials: list[Trial], goal: Goal) -> str:
    first = {trial.scaling.objective: trial for trial in reversed(trials[: len(Objective)])}
    compared = "; ".join(
        f"{objective.value} serves {100 * trial.attainment:.2f} % at {trial.gpu_hours:.1f} GPU-hours"
        for objective, trial in first.items()
    )
    scaling = chosen.scaling
    if not chosen.kept:
        return (
            f"none of those that were tried serves {100 * goal.share:g} % in time, and this comes nearest with "
            f"{100 * chosen.attainment:.2f} %: the load rises faster than a replica starts, or single requests take "
            f"longer than the objective. From 1 replica on: {compared}."
        )
    least = "" if scaling.min_replicas == 1 else f" Fewer than {scaling.min_replicas} at least do not do."
    return (
        f"the cheapest that serves {100 * goal.share:g} % in time: {100 * chosen.attainment:.2f} % at "
        f"{chosen.gpu_hours:.1f} GPU-hours, with up to {scaling.max_replicas} replicas. From 1 replica on: "
        f"{compared}.{least}"
    )
