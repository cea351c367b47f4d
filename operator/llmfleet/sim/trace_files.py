"""Traces from files: requests as CSV, or Mooncake's JSON Lines; either may be gzipped.

- CSV: a header with the columns arrival_s (seconds), input_tokens, output_tokens; others are passed over.
- JSON Lines (`.jsonl`): timestamp (milliseconds), input_length, output_length. Mooncake's hash_ids say which prompts
  begin alike; the simulated replica shares no prefix, so they are left out, and a note says what that is worth.

Arrivals count from 0, or are Unix times, of which the first becomes 0. They may be out of order by a second, as
rounding makes them. An answer without a token counts as one of one token.
"""

import csv
import gzip
import io
import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmfleet.sim.trace import Trace

COLUMNS = ("arrival_s", "input_tokens", "output_tokens")
HASHED_TOKENS = 512
"""Prompt tokens of one of Mooncake's hashes."""
UNIX_TIME = 1e8
"""Seconds: a first arrival beyond (three years) is a date."""
LONGEST = 10_000_000
"""Tokens of a request: more is a mistake."""


class TraceError(ValueError):
    """The file is no trace; the message has its name, the line and what is wrong there."""


def read(path: Path) -> Trace:
    """The requests of a file.

    Raises:
        TraceError: the file cannot be read, or a line of it cannot be a request.
    """
    try:
        with _opened(path) as text:
            if ".jsonl" in path.suffixes:
                return _json_lines(path, text)
            return _trace(path, _csv(path, text))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from error


def _opened(path: Path) -> io.TextIOBase:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _csv(path: Path, text: io.TextIOBase) -> Iterator[tuple[int, float, int, int]]:
    """Line number, arrival, prompt and output tokens of each row."""
    rows = csv.reader(text)
    header = [name.strip() for name in next(rows, [])]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise TraceError(
            f"{path}:1: the header lacks {', '.join(missing)}; the first line must name the columns "
            f"{','.join(COLUMNS)} (seconds, tokens, tokens)"
        )
    places = [header.index(name) for name in COLUMNS]
    try:
        for row in rows:
            if row:
                yield rows.line_num, *_numbers(path, rows.line_num, [row[place] for place in places])
    except IndexError as error:
        raise TraceError(f"{path}:{rows.line_num}: the line has fewer columns than the header") from error
    except csv.Error as error:
        raise TraceError(f"{path}:{rows.line_num}: {error}") from error


def _numbers(path: Path, line: int, texts: list[str]) -> tuple[float, int, int]:
    try:
        return float(texts[0]), int(texts[1]), int(texts[2])
    except ValueError as error:
        raise TraceError(
            f"{path}:{line}: {','.join(texts)} must be an arrival in seconds and two whole numbers of tokens"
        ) from error


def _json_lines(path: Path, text: io.TextIOBase) -> Trace:
    seen: set[int] = set()
    counts = {"prompt": 0, "shared": 0}
    trace = _trace(path, _mooncake(path, text, seen, counts))
    if not seen:
        return trace
    share = counts["shared"] / max(1, counts["prompt"])
    note = (
        f"{path.name}: the prompts' common prefixes are left out, for the simulated engine shares none; up to "
        f"{share:.0%} of the prompt tokens would be in a prefix cache without end, so real engines need less than this"
    )
    return Trace(trace.at, trace.prompt_tokens, trace.output_tokens, trace.span, (note,))


def _mooncake(
    path: Path, text: io.TextIOBase, seen: set[int], counts: dict[str, int]
) -> Iterator[tuple[int, float, int, int]]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        row = _object(path, number, line)
        try:
            arrival, prompt, output = row["timestamp"] / 1000, int(row["input_length"]), int(row["output_length"])
            hashes = [int(one) for one in row.get("hash_ids", ())]
        except (KeyError, TypeError, ValueError) as error:
            raise TraceError(
                f"{path}:{number}: a request needs the numbers timestamp (milliseconds), input_length and output_length"
            ) from error
        known = next((place for place, one in enumerate(hashes) if one not in seen), len(hashes))
        counts["shared"] += min(known * HASHED_TOKENS, prompt)
        counts["prompt"] += prompt
        seen.update(hashes)
        yield number, arrival, prompt, output


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TraceError(f"{path}:{number}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise TraceError(f"{path}:{number}: must be a JSON object")
    return row


def _trace(path: Path, rows: Iterator[tuple[int, float, int, int]]) -> Trace:
    at, prompts, outputs = array("d"), array("i"), array("i")
    first: float | None = None
    last = 0.0
    for line, arrival, prompt, output in rows:
        if first is None:
            first = arrival if arrival > UNIX_TIME else 0.0
        _check(f"{path}:{line}", arrival - first, last, (prompt, output))
        last = max(last, arrival - first)
        at.append(last)
        prompts.append(prompt)
        outputs.append(max(1, output))
    if not at:
        raise TraceError(f"{path}: holds no request")
    return Trace(at, prompts, outputs)


def _check(where: str, arrival: float, last: float, tokens: tuple[int, int]) -> None:
    if not 0 <= arrival < UNIX_TIME:
        raise TraceError(f"{where}: arrival {arrival:g} s; arrivals are seconds from 0 on, or all Unix times")
    if arrival < last - 1:
        raise TraceError(f"{where}: arrives {last - arrival:.3f} s before an earlier line; sort by arrival")
    if not 1 <= tokens[0] <= LONGEST or not 0 <= tokens[1] <= LONGEST:
        raise TraceError(
            f"{where}: {tokens[0]} prompt tokens and {tokens[1]} output tokens; there must be at least one prompt "
            f"token, and at most {LONGEST:,} of either"
        )
