"""Real engines whose memory was published: what the memory plan is fitted to, and compared with others on."""

from typing import NamedTuple

from llmfleet.engine.memory.inputs import Gpu, Setup
from llmfleet.engine.version import Version

UTILIZATION = 0.95
SEEN_GIB = 79.19
"""What CUDA sees of an H100."""


class Run(NamedTuple):
    """One start of vLLM 0.19.0 on H100s, 8,192 tokens, utilization 0.95, everything else left to vLLM; in GiB."""

    shape: str
    ranks: int
    activations: float
    """Torch"s peak during the profiling step."""
    runtime: float
    """What that step took beside torch."""
    weights: float | None = None
    """None: not published, though said to be as the checkpoint"s parameters."""

    @property
    def gpu(self) -> Gpu:
        """The GPU of all runs."""
        return Gpu(name="h100-80gb", memory_gib=79.6, capability=(9, 0))

    @property
    def setup(self) -> Setup:
        """How the engine was run."""
        return Setup(version=Version(0, 19), utilization=UTILIZATION, tensor_parallel=self.ranks, max_model_len=8192)

    def kv_cache(self, counted_weights: float) -> float:
        """What was left for the KV cache."""
        return UTILIZATION * SEEN_GIB - (self.weights or counted_weights) - self.activations - self.runtime


PUBLISHED = (
    Run("llama-3.1-8b", 1, 1.89, 0.25, 14.99),
    Run("llama-3.1-8b", 2, 1.89, 2.07, 7.51),
    Run("llama-3.1-8b", 4, 1.89, 2.13, 3.77),
    Run("qwen2.5-7b", 1, 2.21, 0.24, 14.25),
    Run("qwen2.5-7b", 2, 2.21, 2.06, 7.12),
    Run("qwen2.5-7b", 4, 2.21, 2.13, 3.55),
    Run("qwen3-8b", 1, 2.21, 0.25),
    Run("codellama-7b", 1, 0.77, 0.25),
    Run("gemma-2-2b", 1, 3.62, 0.24),
    Run("gemma-2-9b", 1, 3.65, 0.25),
    Run("gemma-2-27b", 1, 3.66, 0.26),
    Run("gemma-7b", 1, 3.63, 0.25),
    Run("granite-3.1-2b", 1, 0.75, 0.46),
    Run("granite-3.1-8b", 1, 0.85, 0.46),
    Run("phi-4", 1, 1.52, 0.25),
    Run("qwen1.5-moe", 1, 2.47, 0.25),
    Run("qwen3-30b-a3b", 1, 2.68, 0.27),
    Run("mixtral-8x7b", 2, 1.21, 2.07),
    Run("deepseek-v2-lite", 1, 1.93, 0.26),
    Run("qwen2.5-72b", 2, 2.29, 2.09),
)
"""Source: llm-d-planner, docs/accuracy/vllm-v0.19.0-accuracy-report.md (April 2026)."""
