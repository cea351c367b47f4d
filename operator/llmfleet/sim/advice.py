"""What scaling block to choose for a trace: a few are played, and the cheapest that keeps the objective is named.

After `fleet.py`, for `llmfleet simulate`. First each objective with free bounds; then, if none does, more replicas at
least; at last the fewest at most that still do. Which targets the object sets for itself stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
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
LEAST_STEPS = 4
"""Numbers of replicas at least that are tried, but for the first, until one does."""
AS_CHEAP = 1.02
"""Times the GPU-hours of the cheapest: not worth another objective than the object's own."""


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


@dataclass(frozen=True, slots=True)
class Advice:
    """The block to choose, and why."""

    chosen: Trial
    reason: str
    trials: tuple[Trial, ...]


def advise(
    scenario: Scenario, trace: Trace, goal: Goal, *, seed: int = 1, progress: Callable[[str], None] = lambda _: None
) -> Advice:
    """Play the object's own block and what might do better; `progress` is told of each trial."""
    trials: list[Trial] = []

    def tried(objective: Objective, least: int, most: int) -> Trial:
        progress(f"trying {objective.value}, {least} to {most} replicas")
        trials.append(_trial(scenario, trace, goal, scaling=_block(scenario, objective, least, most), seed=seed))
        return trials[-1]

    given, ceiling = scenario.scaling, _ceiling(scenario, trace)
    own = given.objective
    best = _best([tried(objective, 1, ceiling) for objective in Objective], own)
    if not best.kept:
        best = _raised(best, tried, own=own, ceiling=ceiling)
    bounded = _narrowed(best, tried)
    best = _best([tried(own, given.min_replicas, given.max_replicas), bounded], own)
    return Advice(best, _reason(best, trials, goal), tuple(trials))


def _raised(best: Trial, tried: Callable[[Objective, int, int], Trial], *, own: Objective, ceiling: int) -> Trial:
    """With more replicas at least: the fewest that do, and then the objective that is cheapest with them."""
    most = min(max(2, best.most), ceiling)
    for least in sorted({2 + (most - 2) * step // LEAST_STEPS for step in range(LEAST_STEPS + 1)}):
        found = tried(best.scaling.objective, least, ceiling)
        if found.kept:
            others = [one for one in Objective if one is not best.scaling.objective]
            return _best([found, *(tried(one, least, ceiling) for one in others)], own)
        best = _best([best, found])
    return best


def hours(value: float) -> str:
    """GPU-hours for people: three digits or so."""
    return f"{value:,.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004


def _narrowed(best: Trial, tried: Callable[[Objective, int, int], Trial]) -> Trial:
    """The same with fewer replicas at most, where they do as well; else with those that it took."""
    scaling = best.scaling
    if best.enough < best.most:
        fewer = tried(scaling.objective, scaling.min_replicas, max(best.enough, scaling.min_replicas))
        if fewer.kept:
            return fewer
    most = max(best.most, scaling.min_replicas)
    return replace(best, scaling=scaling.model_copy(update={"max_replicas": most}))


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
    )


def _best(trials: list[Trial], own: Objective | None = None) -> Trial:
    """The cheapest that keeps the goal, or the object's own if that is as cheap; if none does, the nearest."""
    kept = sorted((trial for trial in trials if trial.kept), key=lambda trial: trial.gpu_hours)
    if not kept:
        return max(trials, key=lambda trial: trial.attainment)
    alike = [trial for trial in kept if trial.gpu_hours <= kept[0].gpu_hours * AS_CHEAP]
    return next((trial for trial in alike if trial.scaling.objective is own), kept[0])


def _ceiling(scenario: Scenario, trace: Trace) -> int:
    """Replicas that no trial should need."""
    minutes = groupby(trace, key=lambda request: int(request[0] / 60))
    step_time = scenario.fleet.step_time
    busiest = max(sum(work(step_time, prompt, output) for _, prompt, output in requests) for _, requests in minutes)
    return min(1000, max(scenario.scaling.max_replicas, ceil(ROOM * busiest / 60) + 2))


def _reason(chosen: Trial, trials: list[Trial], goal: Goal) -> str:
    first = {trial.scaling.objective: trial for trial in reversed(trials[: len(Objective)])}
    compared = "; ".join(
        f"{objective.value} serves {100 * trial.attainment:.2f} % at {hours(trial.gpu_hours)} GPU-hours"
        for objective, trial in first.items()
    )
    scaling = chosen.scaling
    if not chosen.kept:
        return (
            f"none of those that were tried serves {100 * goal.share:g} % in time, and this comes nearest with "
            f"{100 * chosen.attainment:.2f} %: the load rises faster than a replica starts, or single requests take "
            f"longer than the objective. From 1 replica on: {compared}."
        )
    least = "" if scaling.min_replicas == 1 else f" So minReplicas is {scaling.min_replicas}, the fewest tried that do."
    return (
        f"the cheapest that serves {100 * goal.share:g} % in time: {100 * chosen.attainment:.2f} % at "
        f"{hours(chosen.gpu_hours)} GPU-hours, with up to {scaling.max_replicas} replicas. From 1 replica on: "
        f"{compared}.{least}"
    )
