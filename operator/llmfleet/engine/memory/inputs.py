"""What the memory plan is made for: how the engine is run, and on which GPU. The plan's input besides the model."""

from dataclasses import dataclass
from typing import Literal

from llmfleet.api.settings import GpuProfile
from llmfleet.engine.methods import Capability, capability_of
from llmfleet.engine.version import NEWEST_KNOWN, Version

GIB = 1 << 30
DRIVER_KEEPS_GIB, DRIVER_KEEPS_SHARE = 0.35, 0.002
"""What CUDA sees is less than what nvidia-smi reports: 79.19 of 79.65 GiB on an H100, 139.8 of 140.4 on an H200, 44.5
of 45.0 on an L40S, 22.1 of 22.5 on an L4, 14.6 of 15.0 on a T4 (from vLLM's and PyTorch's own messages)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One kind of GPU."""

    name: str
    memory_gib: float
    """As the driver reports it."""
    capability: Capability | None
    """None: not NVIDIA's, or unknown."""
    per_node: int = 8
    price: float | None = None
    """Of one GPU for an hour."""

    @classmethod
    def of(cls, profile: GpuProfile) -> "Gpu | None":
        """The GPU of a profile; None for nodes without accelerators."""
        if not profile.resource_name:
            return None
        return cls(
            name=profile.name,
            memory_gib=profile.memory_gib,
            capability=capability_of(profile.compute_capability),
            per_node=profile.gpus_per_node,
            price=profile.price_per_hour,
        )

    @property
    def total(self) -> float:
        """Bytes that the engine sees."""
        kept = DRIVER_KEEPS_GIB + DRIVER_KEEPS_SHARE * self.memory_gib if self.capability else 0.0
        return (self.memory_gib - kept) * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How the engine is run; what is None is left to vLLM."""

    version: Version = NEWEST_KNOWN
    dtype: str = "auto"
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    utilization: float = 0.9
    max_model_len: int | Literal["auto"] | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    chunked_prefill: bool | None = None
    prefix_caching: bool | None = None
    expert_parallel: bool = False
    """Whole experts are dealt out to the ranks, none is split."""
    eager: bool = False
    """No CUDA graphs."""
    may_need_less: bool = False
    """Something that is not counted here saves memory (offloading): nothing is certain not to fit."""
    may_need_more: bool = False
    """Something that is not counted here takes memory (drafts, adapters): nothing is certain to fit."""

    @property
    def gpus(self) -> int:
        """GPUs of a replica."""
        return self.tensor_parallel * self.pipeline_parallel
