"""The requests of a case: drawn from published statistics, or the real ones of an hour."""

import csv
import functools
import gzip
import os
import random
from collections.abc import Iterator
from pathlib import Path

from llmfleet.sim.optimum import demand
from llmfleet.sim.trace import Trace
from tests.bench.autoscalers.cases import HOUR, Case, Part
from tests.bench.autoscalers.statistics import Clients, Row, Week, azure_week, servegen

VARIABLE = "LLMFLEET_TRACES"
DATA = Path(__file__).parent / "data"
SAMPLE = 20_000
"""Requests whose lengths stand for a trace's."""
STEPS = ((0.0, 0.3), (HOUR / 2, 1.5), (HOUR, 0.3))
"""(second, load) of the step."""
BELOW_PEAK = 0.93
"""Load of the step's plateau, as a share of what its peak shall need: one-minute counts scatter around it."""


def folder() -> Path:
    """Where the traces' files are: the folder that was named, else the one beside this file."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else DATA


def load(case: Case, *, peak: float, seed: int, part: Part) -> Trace:
    """The requests of a part of a case.

    Args:
        case: which.
        peak: requests/s of its highest minute; cases that are not scaled have their own.
        seed: of what is drawn.
        part: from and to, in seconds.
    """
    start, end = part
    if case.name in {"coding-week", "chat-week"}:
        week = _week("code" if case.name == "coding-week" else "conv", seed)
        drawn = week.requests(factor=peak / max(week.minutes), start=start, end=end, rng=random.Random(seed))
        return Trace.of(drawn, span=end - start)
    if case.name == "step":
        return Trace.of(_step(peak, seed), span=case.whole[1]).between(start, end)
    if case.scaled:
        drawn = _clients(case).requests(factor=_factor(case, peak, seed), start=start, end=end, rng=random.Random(seed))
        return Trace.of(drawn, span=end - start)
    hour = _hour()
    return (hour if case.name == "coding-hour" else hour.faster(4, seed=seed)).between(start, end)


def lengths(case: Case) -> list[tuple[int, int]]:
    """Tokens of prompt and answer, as many as stand for the trace."""
    rng = random.Random(0)
    if case.name in {"coding-hour", "coding-hour-4x", "step"}:
        return [(prompt, answer) for _, prompt, answer in _hour()]
    if case.name in {"coding-week", "chat-week"}:
        week = _week("code" if case.name == "coding-week" else "conv", 0)
        return [(rng.choice(week.prompts), rng.choice(week.answers)) for _ in range(SAMPLE)]
    start, end = case.whole
    clients = _clients(case)
    factor = 1.5 * SAMPLE / (end - start) / clients.highest(start, end)
    return [(prompt, answer) for _, prompt, answer in clients.requests(factor=factor, start=start, end=end, rng=rng)]


@functools.lru_cache(maxsize=2)
def _week(service: str, seed: int) -> Week:
    return azure_week(folder(), service, random.Random(seed))


@functools.lru_cache(maxsize=1)
def _hour() -> Trace:
    with gzip.open(folder() / "azure2023_code.csv.gz", "rt") as file:
        rows = [
            (float(row["arrival_s"]), int(row["input_tokens"]), int(row["output_tokens"]))
            for row in csv.DictReader(file)
        ]
    return Trace.of(rows, span=HOUR)


def _step(peak: float, seed: int) -> Iterator[Row]:
    """Poisson arrivals whose rate steps up and down, with the coding hour's lengths."""
    rng, pairs = random.Random(seed), lengths_of(_hour())
    highest = max(load for _, load in STEPS)
    ends = [*(at for at, _ in STEPS[1:]), STEPS[-1][0] + HOUR / 2]
    for (start, load), end in zip(STEPS, ends, strict=True):
        rate = BELOW_PEAK * peak * load / highest
        at = start + rng.expovariate(rate)
        while at < end:
            yield at, *rng.choice(pairs)
            at += rng.expovariate(rate)


def lengths_of(trace: Trace) -> list[tuple[int, int]]:
    """Tokens of prompt and answer of all requests."""
    return list(zip(trace.prompt_tokens, trace.output_tokens, strict=True))


@functools.lru_cache(maxsize=1)
def _clients(case: Case) -> Clients:
    return servegen(folder(), "deepseek-r1" if case.name == "reasoning-day" else "m-small")


@functools.lru_cache(maxsize=4)
def _factor(case: Case, peak: float, seed: int) -> float:
    """What the clients' rates are multiplied by: a first draw's highest minute says how far it is off."""
    start, end = case.whole
    factor = peak / _clients(case).highest(start, end)
    for _ in range(2):
        drawn = _clients(case).requests(factor=factor, start=start, end=end, rng=random.Random(seed))
        factor *= peak / max(demand([at for at, _, _ in drawn], seconds=end - start))
    return factor
