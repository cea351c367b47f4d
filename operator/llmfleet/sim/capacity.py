"""How many KV-cache blocks an engine has, and the limits vLLM chooses by itself.

Follows the worker's own sum: the requested share of the GPU, less weights, less what the profiling run leaves; the rest
is cut into blocks, one of which (the null block) never holds a request.
"""

from dataclasses import dataclass

from llmfleet.sim.profiles import GIB, Profile

# What a start leaves beside weights and cache (CUDA context, activations, graphs). On an H200 with 0.92 of 139.7 GiB,
# 14.96 GiB of weights and 112.3-112.6 GiB of cache it was 0.9-1.2 GiB.
OVERHEAD_GIB = 1.1

BITS_OF_16: dict[str, int] = {
    "fp8": 8, "fbgemm_fp8": 8, "fp8_per_tensor": 8, "fp8_per_block": 8, "fp8_per_channel": 8,
    "int8_per_channel_weight_only": 8, "mxfp8": 8, "modelopt": 8, "modelopt_mxfp8": 8, "experts_int8": 8,
    "awq": 4, "auto_awq": 4, "awq_marlin": 4, "gptq": 4, "auto_gptq": 4, "gptq_marlin": 4, "moe_wna16": 4, "mxfp4": 4,
    "modelopt_fp4": 4, "nvfp4_per_token": 4,
}  # fmt: skip
"""Nominal bits per weight of the quantization methods that say it by name; the others keep the checkpoint's size."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The KV cache of one engine; `blocks` counts the null block, as `num_gpu_blocks` does."""

    blocks: int
    block_size: int
    kv_bytes: int

    @property
    def tokens(self) -> int:
        """Tokens the whole cache holds, counted as vLLM's start-up line does."""
        return self.blocks * self.block_size


@dataclass(frozen=True, slots=True)
class Memory:
    """The flags that decide the size of the KV cache; `memory_gib` is one GPU's total."""

    memory_gib: float
    utilization: float
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    block_size: int = 16
    kv_cache_bytes: int | None = None
    blocks_override: int | None = None


def weights_bytes_per_gpu(profile: Profile, memory: Memory) -> int:
    """Bytes of weights on each GPU after quantization and the splits over GPUs."""
    bits = BITS_OF_16.get(memory.quantization or "", 16)
    return profile.model.weights_bytes * bits // 16 // (memory.tensor_parallel * memory.pipeline_parallel)


def kv_bytes_per_token(profile: Profile, memory: Memory) -> int:
    """Bytes of one token's KV cache on each GPU; more GPUs than KV heads only replicate the heads."""
    whole = profile.model.kv_bytes_per_token
    if memory.kv_cache_dtype.startswith("fp8"):
        whole //= 2
    return whole // (min(memory.tensor_parallel, profile.model.kv_heads) * memory.pipeline_parallel)


def capacity(profile: Profile, memory: Memory) -> Capacity:
    """The KV cache that fits; it has no blocks when weights and overhead already fill the share."""
    per_block = kv_bytes_per_token(profile, memory) * memory.block_size
    if memory.kv_cache_bytes is not None:
        free = memory.kv_cache_bytes
    else:
        share = memory.memory_gib * memory.utilization - OVERHEAD_GIB
        free = int(share * GIB) - weights_bytes_per_gpu(profile, memory)
    blocks = memory.blocks_override if memory.blocks_override is not None else max(0, free // per_block)
    return Capacity(blocks, memory.block_size, max(0, free))


def default_max_num_seqs(profile: Profile, memory_gib: float) -> int:
    """The choice of vLLM by GPU memory: the A100 is held to the smaller one whatever its memory."""
    return 1024 if _is_large(profile, memory_gib) else 256


def default_max_num_batched_tokens(profile: Profile, memory_gib: float) -> int:
    """The choice of vLLM for its API server, by GPU memory."""
    if memory_gib >= 160:  # noqa: PLR2004 - vLLM's own step, in GiB
        return 16_384
    return 8_192 if _is_large(profile, memory_gib) else 2_048


def _is_large(profile: Profile, memory_gib: float) -> bool:
    return memory_gib >= 70 and not profile.gpu.startswith("A100")  # noqa: PLR2004 - vLLM's own step, in GiB
