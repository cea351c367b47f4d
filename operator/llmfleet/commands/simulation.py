"""What `llmfleet simulate` does: an object and a trace, played, told, and written down."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.commands import inputs, simulate_document, simulate_text
from llmfleet.commands.inputs import UsageError, deployments
from llmfleet.engine.checks import check
from llmfleet.engine.problem import Severity
from llmfleet.sim import plot
from llmfleet.sim.advice import Goal, advise
from llmfleet.sim.fleet import Startup, simulate
from llmfleet.sim.outcome import Outcome, Slo
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.catalogue import PEERS
from llmfleet.sim.peers.static import Static
from llmfleet.sim.rule import Rule, View
from llmfleet.sim.scenario import Scenario, ScenarioError, scenario
from llmfleet.sim.steptime import StepTime
from llmfleet.sim.trace import Trace
from llmfleet.sim.trace_files import TraceError, read
from llmfleet.sim.trace_made import DAY
from llmfleet.sim.trace_statistics import read_statistics

BUILTIN = "builtin"
"""The operator's own autoscaler, among the names of rules."""


def run(arguments: argparse.Namespace) -> int:
    """Simulate what the command line asks for; returns the exit code."""
    if arguments.rules == "list":
        sys.stdout.write("\n".join(simulate_text.rules()) + "\n")
        return 0
    if arguments.output and not plot.is_possible():
        raise UsageError(
            "--output draws a picture, for which matplotlib is missing: pip install 'llmfleet-operator[sim]', or print "
            "the results with --json"
        )
    settings = inputs.settings(arguments.settings)
    of, trace = _scenario(arguments, settings), _trace(arguments)
    goal = _goal(arguments, of)
    rules = {name: _rule(name, of) for name in dict.fromkeys(arguments.rules.split(","))}
    outcomes = {name: _played(name, rule, of, trace, arguments) for name, rule in rules.items()}
    first = next(iter(outcomes.values()))
    advice = None if arguments.no_advice else advise(of, trace, goal, seed=arguments.seed, progress=_say)
    document = simulate_document.document(of, trace, goal, outcomes, advice)
    text = "\n".join(simulate_text.report(of, trace, goal, outcomes, advice)) + "\n"
    sys.stdout.write(json.dumps(document, indent=2) + "\n" if arguments.json else text)
    if arguments.output:
        _write(arguments.output, document, text)
        for ending in ("svg", "png"):
            path = arguments.output / f"simulation.{ending}"
            plot.draw(outcomes, path, slo=goal.slo, title=simulate_text.head(of))
    return 0 if goal.is_kept(first) else 1


def _say(words: str) -> None:
    if sys.stderr.isatty():
        print(f"llmfleet: {words}", file=sys.stderr)  # noqa: T201 - the command line speaks on its streams


def _scenario(arguments: argparse.Namespace, settings: Settings) -> Scenario:
    found = deployments(arguments.filename)
    if len(found) != 1:
        raise UsageError(f"{arguments.filename}: must hold one LLMDeployment, and holds {len(found)}")
    errors = [problem.message for problem in check(found[0], settings) if problem.severity is Severity.ERROR]
    if errors:
        raise UsageError(f"{arguments.filename}: {errors[0]}")
    try:
        return scenario(
            found[0], settings, startup=Startup(arguments.startup), step_time=_step_time(arguments.step_time)
        )
    except ScenarioError as error:
        raise UsageError(f"{arguments.filename}: {error}") from error


def _step_time(text: str | None) -> StepTime | None:
    if text is None:
        return None
    try:
        alpha, beta, gamma = (float(part) for part in text.split(","))
        return StepTime(alpha, beta, gamma)
    except ValueError as error:
        raise UsageError(f"--step-time {text}: give three numbers of milliseconds, such as 4.9,0.024,3.5e-5") from error


def _trace(arguments: argparse.Namespace) -> Trace:
    start, days = arguments.start_day, arguments.days
    try:
        if arguments.lengths:
            trace = read_statistics(
                arguments.trace,
                arguments.lengths,
                service=arguments.service,
                mean_rate=arguments.mean_rate,
                start_day=start,
                days=days,
                seed=arguments.seed,
            )
        else:
            trace = read(arguments.trace)
            if start or days is not None:
                end = float("inf") if days is None else start + days
                trace = trace.between(start * DAY, end * DAY)
    except TraceError as error:
        raise UsageError(str(error)) from error
    if not len(trace):
        raise UsageError(f"{arguments.trace}: no request in that time; see --start-day and --days")
    return trace if arguments.speed == 1 else _faster(trace, arguments)


def _faster(trace: Trace, arguments: argparse.Namespace) -> Trace:
    try:
        return trace.faster(arguments.speed, seed=arguments.seed)
    except ValueError as error:
        raise UsageError(f"--speed: {error}") from error


def _goal(arguments: argparse.Namespace, of: Scenario) -> Goal:
    ttft = of.rule().config.targets.ttft if arguments.ttft is None else arguments.ttft
    return Goal(Slo(ttft, float("inf") if arguments.itl is None else arguments.itl), arguments.share)


def _rule(name: str, of: Scenario) -> Rule:
    if name == BUILTIN:
        return of.rule()
    if name not in PEERS:
        raise UsageError(f"--rules: there is no autoscaler {name!r}: take {BUILTIN} or one of {', '.join(PEERS)}")
    return PEERS[name].rule(Bounds(of.scaling.min_replicas, of.scaling.max_replicas))


def _played(name: str, rule: Rule, of: Scenario, trace: Trace, arguments: argparse.Namespace) -> Outcome:
    _say(f"playing {len(trace):,} requests to {name}")
    fleet = of.fleet
    if isinstance(rule, Static):
        nothing = View(now=0.0, replicas=0, pods=(), active=0, arrived=0)
        fleet = replace(fleet, initial=rule.decide(nothing))
    return simulate(fleet, trace, rule, seed=arguments.seed, progress=_told_in_tenths(trace.span))


def _told_in_tenths(span: float) -> Callable[[float], None]:
    """Say how far a run is; long ones take minutes."""
    told = 0

    def tell(now: float) -> None:
        nonlocal told
        tenths = int(10 * now / span)
        if tenths > told:
            told = tenths
            _say(f"{10 * tenths} % of the trace")

    return tell


def _write(folder: Path, document: Mapping[str, Any], text: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "simulation.json").write_text(json.dumps(document) + "\n", encoding="utf-8")
        (folder / "simulation.txt").write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from error
