"""Arrivals: when each request comes, how long its prompt is and how many tokens it will generate.

First station of the simulator: trace -> fleet -> outcome. `trace_files.py` reads traces, `trace_made.py` draws them
from rates and lengths. Columns instead of objects: a week is millions of requests.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Requests in order of arrival; the three columns have the same length."""

    at: "array[float]"
    """Seconds from the start of the trace."""
    prompt_tokens: "array[int]"
    output_tokens: "array[int]"
    span: float = 0.0
    """Seconds from the start of the trace to its end; at least the last arrival."""
    notes: tuple[str, ...] = field(default=())
    """What of its source the trace leaves out: sentences to be shown with each result."""

    def __post_init__(self) -> None:
        if not len(self.at) == len(self.prompt_tokens) == len(self.output_tokens):
            raise ValueError("the columns of a trace must have the same length")
        if self.at:
            object.__setattr__(self, "span", max(self.span, self.at[-1]))

    @classmethod
    def of(
        cls,
        requests: Iterable[tuple[float, int, int]],
        *,
        span: float = 0.0,
        notes: Sequence[str] = (),
    ) -> "Trace":
        """A trace of (arrival, prompt tokens, output tokens), in whatever order."""
        at, prompt, output = array("d"), array("i"), array("i")
        for arrival, prompts, outputs in sorted(requests):
            at.append(arrival)
            prompt.append(prompts)
            output.append(outputs)
        return cls(at, prompt, output, span, tuple(notes))

    def __len__(self) -> int:
        return len(self.at)

    def __iter__(self) -> Iterator[tuple[float, int, int]]:
        return zip(self.at, self.prompt_tokens, self.output_tokens, strict=True)

    @property
    def rate(self) -> float:
        """Mean requests a second."""
        return len(self.at) / self.span if self.span else 0.0

    def between(self, start: float, end: float) -> "Trace":
        """The requests that come from `start` (inclusive) to `end` (exclusive); `start` becomes zero."""
        first, last = bisect_left(self.at, start), bisect_left(self.at, end)
        at = array("d", (arrival - start for arrival in self.at[first:last]))
        span = max(0.0, min(end, self.span) - start)
        return Trace(at, self.prompt_tokens[first:last], self.output_tokens[first:last], span, self.notes)

    def faster(self, factor: float, *, seed: int = 1) -> "Trace":
        """The same shape over time at `factor` times the rate.

        Below 1 requests are left out at random. Above 1 each is repeated, and each repetition comes up to half a minute
        later or earlier: bursts shorter than that are smoothed, all longer ones stay.
        """
        if factor <= 0:
            raise ValueError(f"a rate can be scaled by a factor above 0 only, not by {factor}")
        random = Random(seed)
        if factor <= 1:
            kept = (request for request in self if random.random() < factor)
            return Trace.of(kept, span=self.span, notes=self.notes)
        return Trace.of(self._repeated(factor, random), span=self.span, notes=self.notes)

    def _repeated(self, factor: float, random: Random) -> Iterator[tuple[float, int, int]]:
        whole, part = int(factor), factor % 1
        for arrival, prompt, output in self:
            yield arrival, prompt, output
            for _ in range(whole - 1 + (random.random() < part)):
                moved = arrival + random.uniform(-REPEATED_WITHIN, REPEATED_WITHIN)
                yield min(max(moved, 0.0), self.span), prompt, output


REPEATED_WITHIN = 30.0
"""Seconds by which `faster` moves repetitions of a request."""
