"""What vLLM takes for the batch where the spec leaves it out. It decides how much memory the activations need.

Source: vLLM 0.33.0 `engine/arg_utils.py`, and start-up logs of 0.19.0 on an H100 (1024 sequences, 8192 tokens).
"""

from typing import NamedTuple

from llmfleet.engine.methods import Capability

LARGE_GIB, HUGE_GIB = 70.0, 160.0
"""GPUs from this size on get larger batches; an A100 counts as small."""
A100: Capability = (8, 0)


class Batch(NamedTuple):
    """The most that one engine step takes."""

    tokens: int
    sequences: int


def defaults(memory_gib: float, capability: Capability | None) -> Batch:
    """The batch of vLLM's server on this GPU."""
    if memory_gib >= HUGE_GIB:
        return Batch(16384, 1024)
    if memory_gib >= LARGE_GIB and capability != A100:
        return Batch(8192, 1024)
    return Batch(2048, 256)


def batch(
    tokens: int | None,
    sequences: int | None,
    *,
    memory_gib: float,
    capability: Capability | None,
    longest: int,
    unchunked: int = 0,
) -> Batch:
    """The batch in use: what is asked, and vLLM's choice for the rest.

    Args:
        tokens: maxNumBatchedTokens, or None.
        sequences: maxNumSeqs, or None.
        memory_gib: of the GPU.
        capability: of the GPU; None if it is not NVIDIA's.
        longest: tokens of the longest sequence.
        unchunked: the longest sequence where chunked prefill is off, else 0: a prompt must fit into one step then.
    """
    chosen = defaults(memory_gib, capability)
    wanted = sequences or chosen.sequences
    most = tokens or min(max(chosen.tokens, unchunked), wanted * longest)
    return Batch(most, sequences or min(wanted, most))
