"""Files of rates and lengths -> what `trace_made.py` draws requests from."""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from llmfleet.sim.trace import Trace
from llmfleet.sim.trace_files import TraceError
from llmfleet.sim.trace_made import (
    DAY,
    Draw,
    RateBin,
    Window,
    from_rates,
    from_windows,
    independent,
    interpolated,
    quantiles,
)

WINDOW_SECONDS = 600.0
LENGTHS_SECONDS = 21_600
PERCENTILES = (0.0, 1.0, *(float(value) for value in range(5, 100, 5)), 97.5, 99.0, 99.9, 100.0)
"""Of the lengths in ServeGen's reduced files."""


def read_statistics(
    rates: Path,
    lengths: Path,
    *,
    service: str = "",
    mean_rate: float | None = None,
    start_day: float = 0.0,
    days: float | None = None,
    seed: int = 1,
) -> Trace:
    """Draw a trace from a file of rates and one of lengths; the header of the rates says which kind they are.

    `service` names the columns of a file that holds several services.

    Raises:
        TraceError: a file cannot be read, or is of no known kind.
    """
    start, end = start_day * DAY, float("inf") if days is None else (start_day + days) * DAY
    rows = _rows(rates)
    header = rows[0][1]
    if "client" in header:
        windows = [window for line, row in rows if start <= (window := _window(rates, line, row)).at < end]
        draw = _azure_for_all(lengths, service) if "jsonl" not in lengths.name else _by_client(lengths, windows)
        return _drawn(rates, lambda: from_windows(windows, draw, mean_rate=mean_rate, seed=seed))
    if f"{service}_rpm" not in header:
        known = sorted(name.removesuffix("_rpm") for name in header if name.endswith("_rpm"))
        raise TraceError(
            f"{rates}:1: no column {service}_rpm; the file has the services {', '.join(known) or 'none'}: "
            "name one with --service"
        )
    bins = [one for line, row in rows if start <= (one := _bin(rates, line, row, service)).at < end]
    return _drawn(rates, lambda: from_rates(bins, service_lengths(lengths, service), mean_rate=mean_rate, seed=seed))


def service_lengths(path: Path, service: str) -> Draw:
    """The lengths of one service from a file of percentiles.

    Raises:
        TraceError: the file cannot be read or lacks the service.
    """
    rows = _rows(path)
    names = ("percentile", f"{service}_input_tokens", f"{service}_output_tokens")
    if missing := [name for name in names if name not in rows[0][1]]:
        raise TraceError(f"{path}:1: the header lacks {', '.join(missing)}")
    columns = [[_number(path, line, row, name) for line, row in rows] for name in names]
    return independent(quantiles(columns[0], columns[1]), quantiles(columns[0], columns[2]))


def _drawn(rates: Path, make: Callable[[], Trace]) -> Trace:
    try:
        return make()
    except ValueError as error:
        raise TraceError(f"{rates}: {error}; see --start-day and --days") from error


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as text:
            rows = list(enumerate(csv.DictReader(text), start=2))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from error
    if not rows:
        raise TraceError(f"{path}: has no rows")
    return rows


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    try:
        value = float(row[name])
    except (KeyError, TypeError, ValueError) as error:
        raise TraceError(f"{path}:{line}: {name} must be a number, not {row.get(name)!r}") from error
    if not 0 <= value < float("inf"):
        raise TraceError(f"{path}:{line}: {name} must be a number from 0 on, not {row[name]}")
    return value


def _bin(path: Path, line: int, row: dict[str, str], service: str) -> RateBin:
    at = _number(path, line, row, "t_s")
    mean, low, high = (_number(path, line, row, f"{service}_rpm{end}") / 60 for end in ("", "_min", "_max"))
    return RateBin(at, WINDOW_SECONDS, mean, low, high)


def _window(path: Path, line: int, row: dict[str, str]) -> Window:
    at, client, rate = (_number(path, line, row, name) for name in ("t_s", "client", "rate_rps"))
    shape = 0.0 if row.get("iat_dist") == "-" else _number(path, line, row, "iat_shape")
    return Window(at, WINDOW_SECONDS, int(client), rate, row.get("iat_dist") or "-", shape)


def _azure_for_all(path: Path, service: str) -> Callable[[Window], Draw]:
    draw = service_lengths(path, service)
    return lambda _: draw


def _by_client(path: Path, windows: list[Window]) -> Callable[[Window], Draw]:
    """Lengths of each client's six hours. A client without any borrows those of the others at that time."""
    known = dict(_client_lengths(path))
    lenders: defaultdict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for window in windows:
        period = _period(window)
        if (window.client, period) in known:
            lenders[period][window.client] += window.rate
    if not lenders:
        raise TraceError(f"{path}: has no lengths of any client at that time")
    borrowed = {period: _mixture(period, weights, known) for period, weights in lenders.items()}

    def lengths(window: Window) -> Draw:
        period = _period(window)
        own = known.get((window.client, period))
        return own or borrowed.get(period) or borrowed[min(borrowed, key=lambda one: abs(one - period))]

    return lengths


def _mixture(period: int, weights: dict[int, float], known: dict[tuple[int, int], Draw]) -> Draw:
    clients, shares = list(weights), list(weights.values())

    def draw(random: Random) -> tuple[int, int]:
        return known[random.choices(clients, shares)[0], period](random)

    return draw


def _period(window: Window) -> int:
    return int(window.at) // LENGTHS_SECONDS * LENGTHS_SECONDS


def _client_lengths(path: Path) -> Iterator[tuple[tuple[int, int], Draw]]:
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as text:
            for line, row in enumerate(text, start=1):
                yield _lengths_row(path, line, row)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from error


def _lengths_row(path: Path, line: int, text: str) -> tuple[tuple[int, int], Draw]:
    try:
        row = json.loads(text)
        draw = interpolated(PERCENTILES, row["input_tokens"], row["output_tokens"])
        return (int(row["client"]), int(row["t_s"])), draw
    except (KeyError, TypeError, ValueError) as error:
        raise TraceError(
            f"{path}:{line}: must have client, t_s, and quantiles input_tokens and output_tokens: {error}"
        ) from error
