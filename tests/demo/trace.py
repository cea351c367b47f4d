"""The real trace that the demo replays, and how it is thinned. Pure.

Arrival times within the slice and all lengths are those of the trace. So that replicas have something to follow within
four minutes, requests are left out by a fixed rule: the share that is kept rises from a tenth to all and falls again.
"""

import csv
import itertools
from dataclasses import dataclass
from pathlib import Path

SLICE = Path(__file__).parent / "data" / "azure2023_conv_slice.csv"
SLICE_SECONDS = 240.0
ENVELOPE = ((0.0, 0.1), (30.0, 0.1), (80.0, 1.0), (150.0, 1.0), (190.0, 0.1), (240.0, 0.1))
"""(second of the slice, share of the requests that is kept); straight lines between."""
LONGEST = 4096
"""Tokens of prompt and answer together; the few longer requests of the trace are left out."""


@dataclass(frozen=True)
class Request:
    """One request of the trace."""

    arrival_s: float
    input_tokens: int
    output_tokens: int
    model: str


def share(second: float) -> float:
    """The part of the trace's requests that is kept at this second of the slice, 0 to 1."""
    for (start, low), (end, high) in itertools.pairwise(ENVELOPE):
        if second <= end:
            return low + (high - low) * (second - start) / (end - start)
    return ENVELOPE[-1][1]


def requests(models: list[str], *, path: Path = SLICE, seconds: float = SLICE_SECONDS) -> list[Request]:
    """The thinned trace, dealt out to the models in turn.

    Which requests are left out follows from the trace alone: one is kept whenever the running sum of shares passes the
    next whole number.

    Args:
        models: served names.
        path: a CSV file with arrival_s, input_tokens and output_tokens.
        seconds: how long the slice shall take; other than 240 stretches or squeezes the time.
    """
    kept: list[Request] = []
    due = 0.0
    with path.open() as file:
        for row in csv.DictReader(file):
            arrival, given, wanted = float(row["arrival_s"]), int(row["input_tokens"]), int(row["output_tokens"])
            if given + wanted > LONGEST:
                continue
            due += share(arrival)
            if due >= len(kept) + 1:
                model = models[len(kept) % len(models)]
                kept.append(Request(arrival * seconds / SLICE_SECONDS, given, wanted, model))
    return kept
