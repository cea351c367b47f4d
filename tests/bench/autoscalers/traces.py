"""The requests of a case: drawn from published statistics, or the real ones of an hour."""

import csv
import functools
import gzip
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from llmfleet.sim.optimum import demand
from llmfleet.sim.trace import Trace
from llmfleet.sim.trace_files import read
from llmfleet.sim.trace_made import Draw, poisson, resampled
from llmfleet.sim.trace_statistics import read_statistics, service_lengths
from tests.bench.autoscalers.cases import DAY, HOUR, Case, Part

VARIABLE = "LLMFLEET_TRACES"
DATA = Path(__file__).parent / "data"
AZURE_RATES, AZURE_LENGTHS = "azure2024_week_rates.csv", "azure2024_length_cdf.csv"
STEPS = ((0.0, 0.3), (HOUR / 2, 1.5), (HOUR, 0.3))
"""(second, load) of the step."""
TRIES = 3
"""Draws that bring the highest minute of bursty clients near to what is asked for."""
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
    if case.name == "step":
        return _step(peak, seed).between(*part)
    if case.rate is not None:
        return _hour().faster(case.rate, seed=seed).between(*part)
    return _drawn(case, scale=_scale(case, peak, seed), seed=seed, part=part)


def lengths(case: Case) -> Draw:
    """Prompt and answer of a request of the case."""
    if case.service:
        return service_lengths(folder() / AZURE_LENGTHS, case.service)
    if case.rate is None and case.name != "step":
        return resampled(_drawn(case, scale=1.0, seed=0, part=case.whole))
    return resampled(_hour())


@functools.lru_cache(maxsize=1)
def _hour() -> Trace:
    return read(folder() / "azure2023_code.csv.gz").between(0.0, HOUR)


def _step(peak: float, seed: int) -> Trace:
    """Poisson arrivals whose rate steps up and down, with the coding hour's lengths."""
    rate = BELOW_PEAK * peak / max(load for _, load in STEPS)
    pieces = [(at, rate * load) for at, load in STEPS]
    return poisson(pieces, span=STEPS[-1][0] + HOUR / 2, lengths=resampled(_hour()), seed=seed)


@dataclass(frozen=True)
class _Bin:
    """Ten minutes of a source."""

    at: float
    rate: float
    high: float
    """Of the highest minute, where the source says it."""


def _drawn(case: Case, *, scale: float, seed: int, part: Part) -> Trace:
    """Requests of the source's statistics, whose highest minute has about `scale` requests/s."""
    start, end = part
    rates, sizes = _files(case)
    bins = _bins(case)
    highest = max(one.high for one in bins if case.whole[0] <= one.at < case.whole[1])
    mean = fmean(one.rate for one in bins if start <= one.at < end)
    trace = read_statistics(
        rates,
        sizes,
        service=case.service,
        mean_rate=scale * mean / highest,
        start_day=start / DAY,
        days=(end - start) / DAY,
        seed=seed,
    )
    return trace.between(0.0, end - start)


@functools.lru_cache(maxsize=4)
def _scale(case: Case, peak: float, seed: int) -> float:
    """What to draw at for that peak; clients' bursts make single minutes higher than their ten, which draws show."""
    scale = peak
    for _ in range(TRIES if case.clients else 0):
        drawn = _drawn(case, scale=scale, seed=seed, part=case.whole)
        scale *= peak / max(demand(drawn.at, seconds=drawn.span))
    return scale


def _files(case: Case) -> tuple[Path, Path]:
    """Rates and lengths."""
    if case.clients is None:
        return folder() / AZURE_RATES, folder() / AZURE_LENGTHS
    sizes = AZURE_LENGTHS if case.service else f"servegen_{case.clients}_lengths.jsonl.gz"
    return folder() / f"servegen_{case.clients}_windows.csv.gz", folder() / sizes


@functools.lru_cache(maxsize=4)
def _bins(case: Case) -> list[_Bin]:
    rates, _ = _files(case)
    if case.clients is None:
        with rates.open() as file:
            return [_azure(row, case.service) for row in csv.DictReader(file)]
    with gzip.open(rates, "rt") as file:
        return list(_sums(csv.DictReader(file)))


def _azure(row: dict[str, str], service: str) -> _Bin:
    return _Bin(float(row["t_s"]), float(row[f"{service}_rpm"]) / 60, float(row[f"{service}_rpm_max"]) / 60)


def _sums(rows: Iterable[dict[str, str]]) -> Iterator[_Bin]:
    """All clients together."""
    rates: dict[float, float] = {}
    for row in rows:
        rates[float(row["t_s"])] = rates.get(float(row["t_s"]), 0.0) + float(row["rate_rps"])
    for at, rate in sorted(rates.items()):
        yield _Bin(at, rate, rate)
