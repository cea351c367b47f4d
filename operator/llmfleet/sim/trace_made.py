"""Traces drawn from statistics: rates over time, and quantiles of lengths. The same seed draws the same requests.

Beside `trace_files.py`, which reads requests themselves. What a service publishes is often only this:

- rates for each ten minutes and one distribution of lengths for a service (`from_rates`: the columns of the reduced
  Azure 2024 week: t_s, SERVICE_rpm, SERVICE_rpm_min, SERVICE_rpm_max; percentile, SERVICE_input_tokens,
  SERVICE_output_tokens);
- for each client and ten minutes rate and gap distribution, and for each six hours lengths (`from_windows`: the columns
  of the reduced ServeGen files).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import gamma
from random import Random

from llmfleet.sim.trace import Trace

MINUTE = 60.0
DAY = 86_400.0
EXPECTED_RANGE = 3.078
"""Of ten normally distributed values, in standard deviations: a rate's lowest and highest minute of ten."""
RESOLUTION = 10_000
"""Quantiles in a table of lengths."""

Draw = Callable[[Random], tuple[int, int]]
"""Prompt and output tokens of one request."""


@dataclass(frozen=True, slots=True)
class RateBin:
    """Requests a second for some time: mean, and the lowest and highest minute."""

    at: float
    seconds: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Window:
    """A client's requests for some time: rate, and how its gaps are distributed."""

    at: float
    seconds: float
    client: int
    rate: float
    law: str
    """G: gamma, W: Weibull; everything else: exponential."""
    shape: float


def length_at(percentiles: Sequence[float], values: Sequence[float], wanted: float) -> int:
    """The length at a percentile (0..100), on straight lines between those that are known."""
    place = min(max(bisect_right(percentiles, wanted), 1), len(values) - 1)
    low, high = percentiles[place - 1], percentiles[place]
    share = min(1.0, max(0.0, (wanted - low) / (high - low)))
    return max(1, round(values[place - 1] + share * (values[place] - values[place - 1])))


def quantiles(percentiles: Sequence[float], values: Sequence[float]) -> list[int]:
    """A table of equally likely lengths: for many draws."""
    return [length_at(percentiles, values, 100 * (number + 0.5) / RESOLUTION) for number in range(RESOLUTION)]


def interpolated(percentiles: Sequence[float], prompts: Sequence[float], outputs: Sequence[float]) -> Draw:
    """Prompt and answer drawn each from its own percentiles: for few draws.

    Raises:
        ValueError: there is not a length for each percentile.
    """
    if not len(percentiles) == len(prompts) == len(outputs):
        raise ValueError(f"{len(prompts)} and {len(outputs)} lengths for {len(percentiles)} percentiles")

    def draw(random: Random) -> tuple[int, int]:
        prompt = length_at(percentiles, prompts, 100 * random.random())
        return prompt, length_at(percentiles, outputs, 100 * random.random())

    return draw


def independent(prompts: Sequence[int], outputs: Sequence[int]) -> Draw:
    """Prompt and answer drawn each from its own table."""

    def draw(random: Random) -> tuple[int, int]:
        return prompts[int(random.random() * len(prompts))], outputs[int(random.random() * len(outputs))]

    return draw


def resampled(trace: Trace) -> Draw:
    """Lengths of a trace's requests, each pair as likely as any."""

    def draw(random: Random) -> tuple[int, int]:
        place = int(random.random() * len(trace))
        return trace.prompt_tokens[place], trace.output_tokens[place]

    return draw


def poisson(pieces: Sequence[tuple[float, float]], *, span: float, lengths: Draw, seed: int = 1) -> Trace:
    """Arrivals without memory; each piece is (from second, requests a second) and lasts until the next."""
    random = Random(seed)
    ends = [start for start, _ in pieces[1:]] + [span]
    made = (
        (at, *lengths(random))
        for (start, rate), end in zip(pieces, ends, strict=True)
        for at in _arrivals(random, rate, start, end)
    )
    return Trace.of(made, span=span)


def from_rates(bins: Sequence[RateBin], lengths: Draw, *, mean_rate: float | None = None, seed: int = 1) -> Trace:
    """Requests at the rates of a service; `mean_rate` (requests a second) scales the whole.

    Each minute has a rate of its own, normally distributed between the lowest and highest of its bin, and in it the
    arrivals have no memory. So minutes scatter as much as the source's, but each by itself: real ones come in runs.
    """
    if not any(one.mean for one in bins):
        raise ValueError("there are no rates above 0 in that time")
    random = Random(seed)
    start, end = bins[0].at, bins[-1].at + bins[-1].seconds
    scale = 1.0
    if mean_rate is not None:
        scale = mean_rate * (end - start) / sum(one.mean * one.seconds for one in bins)
    made = (
        (at, *lengths(random))
        for one in bins
        for minute in _minutes(one, start)
        for at in _arrivals(random, scale * _minute_rate(random, one), minute, minute + MINUTE)
    )
    return Trace.of(made, span=end - start)


def from_windows(
    windows: Sequence[Window],
    lengths: Callable[[Window], Draw],
    *,
    mean_rate: float | None = None,
    seed: int = 1,
) -> Trace:
    """Requests of many clients, each with its own rate and burstiness; `mean_rate` scales all alike.

    A client's gaps are drawn in units of its mean gap and laid end to end over its windows, so a gap that begins in one
    window ends in the next at that one's rate.
    """
    windows = [window for window in windows if window.rate > 0]
    if not windows:
        raise ValueError("there are no rates above 0 in that time")
    start = min(window.at for window in windows)
    end = max(window.at + window.seconds for window in windows)
    total = sum(window.rate * window.seconds for window in windows)
    scale = 1.0 if mean_rate is None else mean_rate * (end - start) / total
    random = Random(seed)
    clients: defaultdict[int, list[Window]] = defaultdict(list)
    for window in sorted(windows, key=lambda one: one.at):
        clients[window.client].append(window)
    made = (
        (at - start, *lengths(window)(random))
        for one in clients.values()
        for at, window in _renewals(random, one, scale)
    )
    return Trace.of(made, span=end - start)


def _arrivals(random: Random, rate: float, start: float, end: float) -> Iterator[float]:
    if rate <= 0:
        return
    at = start + random.expovariate(rate)
    while at < end:
        yield at
        at += random.expovariate(rate)


def _minutes(one: RateBin, start: float) -> Iterator[float]:
    for number in range(int(one.seconds / MINUTE)):
        yield one.at - start + number * MINUTE


def _minute_rate(random: Random, one: RateBin) -> float:
    return min(max(random.gauss(one.mean, (one.high - one.low) / EXPECTED_RANGE), one.low), one.high)


def _renewals(random: Random, windows: Sequence[Window], scale: float) -> Iterator[tuple[float, Window]]:
    """Arrivals of one client; `left` is what is left of the present gap, in mean gaps."""
    left = random.random() * _gap(random, windows[0])
    for window in windows:
        rate = window.rate * scale
        at, end = window.at, window.at + window.seconds
        while at + left / rate < end:
            at += left / rate
            yield at, window
            left = _gap(random, window)
        left -= (end - at) * rate


def _gap(random: Random, window: Window) -> float:
    """A gap whose mean is one."""
    shape = window.shape
    if window.law == "G" and shape > 0:
        return random.gammavariate(shape, 1 / shape)
    if window.law == "W" and shape > 0:
        return random.weibullvariate(1 / gamma(1 + 1 / shape), shape)
    return random.expovariate(1.0)
