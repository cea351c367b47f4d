"""How fast an engine steps: the formula, and what to expect before one was seen. Pure.

T = (floor^p + (token N)^p)^(1/p) + context C    for a step over N tokens that reads C tokens of KV cache

floor: weights are read once whatever the batch; token: one more token to compute; context: one more token of KV cache
to read. With p = 1.5 nine windows of vLLM 0.26 on an H200 were met within 3 % on average.

The start values are the physical bounds (bytes over bandwidth, operations over FLOP/s) times what engines were found to
need beyond them; `scaling/learning.py` corrects them by what the engine's counters say.
"""

from dataclasses import dataclass

from llmfleet.engine.memory.planning import Outlook

FLOOR_OVER_BOUND = 1.3
"""Fits over bandwidth bound: 1.33 (8B on an H100), 1.28 (on an A100-40G), 1.46 (on an H200)."""
TOKEN_OVER_BOUND = 1.3
"""Fits over FLOP/s bound: 1.19 (TensorRT-LLM on an H100), 1.3 (A100), 1.48 (vLLM on an H200)."""
CONTEXT_OVER_BOUND = 1.1
"""Fit over bandwidth bound: 1.09 (H100); 1.28 on an H200."""
FLOOR_SPLIT, TOKEN_SPLIT = 0.55, 0.75
"""Powers of the GPUs of a replica by which it gets faster: 0.69 and 0.62 of the times with two H100, 0.51 and 0.42 with
four."""
KNOWN_DOUBT, UNKNOWN_DOUBT = 0.35, 1.5
"""Standard deviation of the natural logarithm of each coefficient: from the roofline, and from nothing at all."""
_OPERATIONS = 2
"""For each parameter and token: multiply and add."""


@dataclass(frozen=True, slots=True)
class Speed:
    """The three coefficients, in seconds."""

    floor: float
    token: float
    context: float

    def computing(self, tokens: float) -> float:
        """Seconds of a step over that many tokens, without reading context."""
        slope = self.token * tokens
        joined: float = (self.floor**1.5 + slope**1.5) ** (2 / 3)
        return joined


UNKNOWN = Speed(0.010, 5e-5, 5e-8)
"""Somewhere among GPUs and models of today; only to be learnt from."""


@dataclass(frozen=True, slots=True)
class Start:
    """What is known of a replica's speed before it was seen."""

    speed: Speed = UNKNOWN
    doubt: float = UNKNOWN_DOUBT
    batch_tokens: int | None = None
    """Most tokens of a step."""
    sequences: int | None = None
    """Most requests in execution."""


NOTHING = Start()
"""Nothing is known."""


def start(seen: Outlook) -> Start:
    """The start values of a replica: from the profile's bandwidth and FLOP/s and the plan, as far as there are such."""
    plan, profile, architecture = seen.plan, seen.case.profile, seen.case.architecture
    if plan is None or profile is None or architecture is None:
        return NOTHING
    batch = plan.batch
    if profile.bandwidth_gbs is None or profile.tflops is None:
        return Start(batch_tokens=batch.tokens, sequences=batch.sequences)
    setup = plan.setup
    gpus, bandwidth = setup.tensor_parallel, profile.bandwidth_gbs * 1e9
    weights = plan.fill.weights.likely * setup.pipeline_parallel * gpus
    speed = Speed(
        floor=FLOOR_OVER_BOUND * weights / bandwidth / gpus**FLOOR_SPLIT,
        token=TOKEN_OVER_BOUND
        * _OPERATIONS
        * architecture.parameters.active
        / (profile.tflops * 1e12)
        / gpus**TOKEN_SPLIT,
        context=CONTEXT_OVER_BOUND * plan.token_bytes / bandwidth,
    )
    return Start(speed, KNOWN_DOUBT, batch.tokens, batch.sequences)
