"""Published statistics of real load -> requests: the reading and drawing behind `traces.py`.

Everything is drawn from one generator of random numbers, so a seed gives the same requests again.
"""

import bisect
import csv
import gzip
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Row = tuple[float, int, int]
"""A request: seconds since the start, tokens of its prompt, tokens of its answer."""
FINENESS = 10_000
"""Steps of a table of lengths."""
GRID = (0.0, 1.0, 5.0, *(float(percent) for percent in range(10, 100, 5)), 97.5, 99.0, 99.9, 100.0)
"""Percentiles of ServeGen's quantiles."""
WINDOW, SIX_HOURS = 600, 21_600
"""Seconds for which ServeGen's clients keep their rate, and their lengths."""


def table(percentiles: Sequence[float], values: Sequence[float]) -> list[int]:
    """Quantiles -> lengths at equal steps of probability, straight lines between; a random one of them is a draw."""
    lengths = []
    for step in range(FINENESS):
        percent = 100 * (step + 0.5) / FINENESS
        right = min(bisect.bisect_right(percentiles, percent), len(percentiles) - 1)
        low, high = percentiles[right - 1], percentiles[right]
        share = (percent - low) / (high - low)
        lengths.append(max(1, round(values[right - 1] + (values[right] - values[right - 1]) * share)))
    return lengths


@dataclass(frozen=True)
class Week:
    """Azure's week of one service: the rate of each minute and tables of lengths."""

    minutes: Sequence[float]
    """Requests/s, with each minute's own scatter."""
    prompts: Sequence[int]
    answers: Sequence[int]

    def requests(self, *, factor: float, start: float, end: float, rng: random.Random) -> Iterator[Row]:
        """Poisson arrivals within the minutes from `start` to `end` seconds, at `factor` times the rates."""
        for minute in range(int(start // 60), math.ceil(end / 60)):
            rate, at = factor * self.minutes[minute], minute * 60 - start
            till = at + 60
            at += rng.expovariate(rate)
            while at < till:
                yield at, rng.choice(self.prompts), rng.choice(self.answers)
                at += rng.expovariate(rate)


def azure_week(folder: Path, service: str, rng: random.Random) -> Week:
    """The week of `code` or `conv`; a minute's scatter is read off the thickness of the published line.

    The range of some ten values is about 3.1 standard deviations.
    """
    minutes = []
    with (folder / "azure2024_week_rates.csv").open() as file:
        for row in csv.DictReader(file):
            rate, low, high = (float(row[f"{service}_rpm{suffix}"]) for suffix in ("", "_min", "_max"))
            scatter = min(0.5, (high - low) / 3.1 / rate)
            minutes += [rate / 60 * max(0.05, rng.gauss(1.0, scatter)) for _ in range(10)]
    with (folder / "azure2024_length_cdf.csv").open() as file:
        rows = list(csv.DictReader(file))
    percentiles = [float(row["percentile"]) for row in rows]
    lengths = [
        table(percentiles, [float(row[f"{service}_{end}_tokens"]) for row in rows]) for end in ("input", "output")
    ]
    return Week(minutes, *lengths)


Lengths = tuple[list[int], list[int]]
"""Tables of prompts and of answers."""


@dataclass(frozen=True)
class Clients:
    """ServeGen's clients: each has in each ten minutes a rate and a law of the gaps, in each six hours its lengths."""

    windows: Sequence[Mapping[str, str]]
    lengths: Mapping[tuple[int, int], Lengths]

    def highest(self, start: float, end: float) -> float:
        """Requests/s of the busiest window."""
        rates: dict[int, float] = {}
        for row in self._between(start, end):
            rates[int(row["t_s"])] = rates.get(int(row["t_s"]), 0.0) + float(row["rate_rps"])
        return max(rates.values())

    def requests(self, *, factor: float, start: float, end: float, rng: random.Random) -> Iterator[Row]:
        """In each window a renewal process begun at a random phase, at `factor` times the rates.

        A client without lengths of its own borrows those of any other of the same six hours.
        """
        for row in self._between(start, end):
            begin, gap = int(row["t_s"]) - start, _gap(row, factor, rng)
            prompts, answers = self._find(int(row["client"]), int(row["t_s"]), rng)
            at = begin + gap() * rng.random()
            while at < begin + WINDOW:
                yield at, rng.choice(prompts), rng.choice(answers)
                at += gap()

    def _between(self, start: float, end: float) -> Iterator[Mapping[str, str]]:
        return (row for row in self.windows if start <= int(row["t_s"]) < end)

    def _find(self, client: int, at: int, rng: random.Random) -> Lengths:
        begin = at // SIX_HOURS * SIX_HOURS
        if own := self.lengths.get((client, begin)):
            return own
        others = [tables for (_, other), tables in self.lengths.items() if other == begin]
        return rng.choice(others or list(self.lengths.values()))


def servegen(folder: Path, model: str) -> Clients:
    """The clients of a model."""
    lengths: dict[tuple[int, int], Lengths] = {}
    with gzip.open(folder / f"servegen_{model}_lengths.jsonl.gz", "rt") as file:
        for line in file:
            entry = json.loads(line)
            tables = (table(GRID, entry["input_tokens"]), table(GRID, entry["output_tokens"]))
            lengths[entry["client"], entry["t_s"]] = tables
    with gzip.open(folder / f"servegen_{model}_windows.csv.gz", "rt") as file:
        return Clients(list(csv.DictReader(file)), lengths)


def _gap(row: Mapping[str, str], factor: float, rng: random.Random) -> Callable[[], float]:
    """Seconds between two requests of a client, by its law."""
    mean, shape = 1 / (float(row["rate_rps"]) * factor), float(row["iat_shape"] or 0)
    if row["iat_dist"] == "W" and shape > 0:
        scale = mean / math.gamma(1 + 1 / shape)
        return lambda: rng.weibullvariate(scale, shape)
    if row["iat_dist"] == "G" and shape > 0:
        return lambda: rng.gammavariate(shape, mean / shape)
    return lambda: rng.expovariate(1 / mean)
