"""How fast the engines step, learnt from their own counters. Pure.

Between interval and work term: start values + Intervals -> Estimate -> Speed. An engine that was never idle between two
pages spent all of that time in its steps, and its counters say how many there were, how many tokens they computed and
how much context they read. So each such interval is one equation for the three coefficients of `engine/speed.py`; an
extended Kalman filter on their logarithms solves them as they come. Logarithms keep the coefficients positive, what no
interval has excited stays where the start value put it, and a surprise is never taken at more than its clamped worth.

An engine that may have been idle teaches one thing only: its steps cannot have taken longer than the time there was.
All replicas teach one estimate, so in a rollout it lies between the versions and follows the new one within minutes;
another spec begins anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log, sqrt

from llmfleet.engine.speed import Speed, Start
from llmfleet.scaling.interval import Interval

NOISE = 0.10
"""Relative error of one look at the fleet: gauges are sampled, steps are not alike."""
MIN_STEPS = 5.0
"""Steps below which an interval says nothing."""
DRIFT = 0.05
"""By how much the logarithm of a coefficient may wander in the square root of an hour."""
SURPRISE = 3.0
"""Standard deviations at which a surprise is clamped."""
FARTHEST = 4.0
"""Standard deviations of the start value beyond which a coefficient never goes."""
SURE = 0.30
"""Relative error of a request's work below which the estimate is used."""

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The logarithms of the coefficients and how far they can be trusted."""

    start: Start
    logs: Vector
    spread: Matrix
    """Covariance of the logarithms."""

    @classmethod
    def of(cls, start: Start) -> "Estimate":
        """What is known before anything was seen."""
        speed, variance = start.speed, start.doubt**2
        logs = (log(speed.floor), log(speed.token), log(speed.context))
        return cls(start, logs, ((variance, 0.0, 0.0), (0.0, variance, 0.0), (0.0, 0.0, variance)))

    @property
    def speed(self) -> Speed:
        """The coefficients."""
        return Speed(*(exp(value) for value in self.logs))

    def error(self, shares: Vector) -> float:
        """Standard deviation of the logarithm of a time of which the coefficients have these shares."""
        return sqrt(max(0.0, _dot(shares, _times(self.spread, shares))))

    def learnt(self, intervals: Iterable[Interval]) -> "Estimate":
        """Take in what the replicas did since the last look; the estimate itself where that teaches nothing."""
        speed = self.speed
        seen = spent = 0.0
        parts = [0.0, 0.0, 0.0]
        for interval in intervals:
            if interval.steps < MIN_STEPS or interval.disturbed:
                continue
            shares = times(interval, speed, self.start.batch_tokens)
            total = sum(shares)
            if interval.busy or total > interval.seconds:
                seen, spent = seen + interval.seconds, spent + total
                parts = [part + share for part, share in zip(parts, shares, strict=True)]
        if spent <= 0:
            return self
        direction = (parts[0] / spent, parts[1] / spent, parts[2] / spent)
        return self._corrected(direction, log(seen / spent), seconds=seen)

    def _corrected(self, direction: Vector, surprise: float, *, seconds: float) -> "Estimate":
        """One step of the filter: `direction` is the gradient of the logarithm of the predicted time."""
        wander = DRIFT**2 * min(seconds, 60.0) / 3600
        spread = _widened(self.spread, wander, most=self.start.doubt**2)
        along = _times(spread, direction)
        variance = _dot(direction, along) + NOISE**2
        limit = SURPRISE * sqrt(variance)
        step = max(-limit, min(limit, surprise)) / variance
        first, speed = self.start.doubt * FARTHEST, self.start.speed
        origin = (log(speed.floor), log(speed.token), log(speed.context))
        floor, token, context = (
            max(begin - first, min(begin + first, value + gain * step))
            for begin, value, gain in zip(origin, self.logs, along, strict=True)
        )
        return Estimate(self.start, (floor, token, context), _narrowed(spread, along, variance))


def times(interval: Interval, speed: Speed, batch_tokens: int | None) -> Vector:
    """Seconds that an interval's steps take at this speed, by coefficient.

    Two kinds of steps: those that compute a prompt, or a chunk of one, beside the running requests' tokens, and those
    that compute these alone. The parts are the derivatives after the logarithms, so they add up to the whole.
    """
    steps, prompt = interval.steps, interval.computed_tokens
    decoded = max(0.0, interval.generated_tokens - interval.admitted) / steps
    chunks = max(interval.admitted, prompt / batch_tokens if batch_tokens else 0.0, 1.0) if prompt else 0.0
    chunks = min(steps, chunks)
    floor = token = 0.0
    for count, tokens in ((chunks, decoded + prompt / chunks if chunks else 0.0), (steps - chunks, decoded)):
        if count > 0:
            whole, slope = speed.computing(tokens), speed.token * tokens
            part = slope * sqrt(slope) / (speed.floor * sqrt(speed.floor) + slope * sqrt(slope))
            floor, token = floor + count * whole * (1 - part), token + count * whole * part
    return floor, token, speed.context * steps * interval.kv_tokens


def _dot(one: Vector, other: Vector) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _times(matrix: Matrix, vector: Vector) -> Vector:
    return _dot(matrix[0], vector), _dot(matrix[1], vector), _dot(matrix[2], vector)


def _narrowed(matrix: Matrix, along: Vector, variance: float) -> Matrix:
    """What the look has taught: less by the outer product of `along` with itself over its variance."""
    (a, b, c), (_, d, e), (_, _, f) = matrix
    x, y, z = along
    b, c, e = b - x * y / variance, c - x * z / variance, e - y * z / variance
    return (a - x * x / variance, b, c), (b, d - y * y / variance, e), (c, e, f - z * z / variance)


def _widened(matrix: Matrix, wander: float, *, most: float) -> Matrix:
    """The passage of time: each variance grows, up to what it was at the start."""
    (a, b, c), (_, d, e), (_, _, f) = matrix
    a, d, f = (max(value, min(most, value + wander)) for value in (a, d, f))
    return (a, b, c), (b, d, e), (c, e, f)
