"""How long one engine step takes: the only physics in the simulator.

`replica.py` asks for the duration of every step; `profiles.py` holds the measured coefficients.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class StepTime:
    """Duration of a step that computes N tokens while reading C tokens of context.

    T = (alpha^p + (beta N)^p)^(1/p) + gamma C

    alpha is the floor of a step (weights are read once whatever the batch), beta the cost of computing one more token,
    gamma the cost of reading one token of KV cache. p joins floor and slope: 1 adds them, a larger p comes closer to
    their maximum, which is what overlapping memory traffic and arithmetic look like.
    """

    alpha_ms: float
    beta_ms: float
    gamma_ms: float
    p: float = 1.5

    def __post_init__(self) -> None:
        if min(self.alpha_ms, self.beta_ms) <= 0 or self.gamma_ms < 0 or self.p < 1:
            raise ValueError(f"a step time needs alpha > 0, beta > 0, gamma >= 0 and p >= 1, got {self}")

    def seconds(self, *, tokens: int, context: int) -> float:
        """Duration in seconds of a step over `tokens` batched tokens and `context` tokens of KV cache."""
        floor, slope = self.alpha_ms, self.beta_ms * tokens
        joined = floor + slope if self.p == 1 else (floor**self.p + slope**self.p) ** (1 / self.p)
        return (joined + self.gamma_ms * context) / 1000

    def faster(self, factor: float) -> "StepTime":
        """The same engine `factor` times as fast: the formula is linear in its three coefficients."""
        return StepTime(self.alpha_ms / factor, self.beta_ms / factor, self.gamma_ms / factor, self.p)

    def pace(self, *, tokens: int, context: int) -> "Pace":
        """The pace of steps that compute `tokens` tokens each, so that the context, `context` before, grows as much."""
        growth = self.gamma_ms * tokens / 2000
        return Pace(self.seconds(tokens=tokens, context=context) + growth, growth)


class Pace(NamedTuple):
    """Equal steps in closed form: k of them take (first + growth k) k seconds, since each reads what the last wrote."""

    first: float
    growth: float

    def seconds(self, steps: int) -> float:
        """How long so many steps take."""
        return (self.first + self.growth * steps) * steps

    def steps_within(self, seconds: float) -> int:
        """How many are complete after so many seconds."""
        root = math.sqrt(self.first * self.first + 4 * self.growth * max(seconds, 0.0))
        steps = int(2 * max(seconds, 0.0) / (self.first + root))
        while self.seconds(steps + 1) <= seconds:
            steps += 1
        while steps and self.seconds(steps) > seconds:
            steps -= 1
        return steps
