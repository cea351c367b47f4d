"""How long one engine step takes: the only physics in the simulator.

`replica.py` asks for the duration of every step; `profiles.py` holds the measured coefficients.
"""

from dataclasses import dataclass


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
