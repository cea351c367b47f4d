"""Named engines: a model on a GPU, with step times by tensor-parallel size and where each number comes from.

Feeds `capacity.py` (memory) and `replica.py` (step times). Every row says its source; rows without a fit of their own
for a tensor-parallel size are derived and say so. Vidur's rows of the A100-80G (Llama-3 8B and 70B) are not here: they
leave attention out, so what a token of context costs is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from llmfleet.sim.steptime import StepTime

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Model:
    """What memory and limits depend on. Sizes are of the whole model in its own dtype, before any tensor split."""

    name: str
    weights_bytes: int
    kv_bytes_per_token: int
    attention_heads: int
    kv_heads: int
    max_position: int


@dataclass(frozen=True, slots=True)
class Profile:
    """One model on one kind of GPU.

    `step_times` maps a tensor-parallel size to its coefficients; `gpu_memory_gib` is what the driver reports as total.
    """

    name: str
    model: Model
    gpu: str
    gpu_memory_gib: float
    step_times: Mapping[int, StepTime]
    source: str

    def step_time(self, tensor_parallel: int) -> StepTime:
        """Coefficients for a tensor-parallel size; beyond the largest known one the engine gets no faster."""
        return self.step_times[
            max(size for size in self.step_times if size <= max(tensor_parallel, min(self.step_times)))
        ]


# 8.03e9 parameters in bfloat16; 32 layers x 8 KV heads x 128 x (K and V) x 2 bytes = 128 KiB a token.
LLAMA_8B = Model("llama-3-8b", 16_060_000_000, 131_072, 32, 8, 131_072)
# 70.6e9 parameters in fp8; 80 layers x 8 KV heads x 128 x (K and V) x 2 bytes = 320 KiB a token.
LLAMA_70B_FP8 = Model("llama-3.1-70b-fp8", 70_600_000_000, 327_680, 64, 8, 131_072)

_H100_8B = {
    1: StepTime(6.35, 0.0193, 4.28e-5, 1),
    2: StepTime(4.38, 0.0120, 2.2e-5, 1),
    4: StepTime(3.26, 0.0082, 1.1e-5, 1),
}
_H200_8B = StepTime(4.9, 0.0240, 3.5e-5, 1.5)
_A100_40G_8B = StepTime(13.2, 0.067, 9.3e-5, 1.5)
# 16.06 GB / 300 GB/s x 1.28; 2 x 8.03e9 / 121e12 x 1.3; 131,072 B / 300 GB/s x 1.1, all in ms.
_L4_8B = StepTime(68.5, 0.173, 4.8e-4, 1.5)


def _split_like_h100(base: StepTime) -> dict[int, StepTime]:
    """Tensor-parallel rows for a GPU measured at size 1 only: its coefficients times the H100's measured ratios."""
    one = _H100_8B[1]
    return {
        size: StepTime(
            base.alpha_ms * row.alpha_ms / one.alpha_ms,
            base.beta_ms * row.beta_ms / one.beta_ms,
            base.gamma_ms * row.gamma_ms / one.gamma_ms,
            base.p,
        )
        for size, row in _H100_8B.items()
    }


_SILICON = "fit of published AIConfigurator silicon rows"
_ALL = (
    Profile(
        "h200-8b",
        LLAMA_8B,
        "H200",
        139.7,
        _split_like_h100(_H200_8B),
        "vLLM 0.26 on one H200: nine open-loop windows, step time within 2.9 % on average, 14 % at worst; size 2 and 4 "
        "by the H100's ratios",
    ),
    Profile(
        "h100-8b", LLAMA_8B, "H100", 79.2, _H100_8B, f"{_SILICON} (TensorRT-LLM 1.0rc3): 2.6 / 3.2 / 8.4 % mean error"
    ),
    Profile(
        "a100-40g-8b",
        LLAMA_8B,
        "A100-40G",
        39.4,
        _split_like_h100(_A100_40G_8B),
        "alpha from a published stream of 75 tokens/s, beta from Vidur's A100 profiles, gamma 1.1 x roofline; size 2 "
        "and 4 by the H100's ratios",
    ),
    Profile(
        "l4-8b",
        LLAMA_8B,
        "L4",
        22.5,
        {1: _L4_8B},
        "not measured: the roofline of 300 GB/s and 121 dense TFLOP/s times the A100's ratios of fit to roofline",
    ),
    Profile(
        "h100-70b-fp8",
        LLAMA_70B_FP8,
        "H100",
        79.2,
        {
            2: StepTime(17.7, 0.024, 5.9e-5, 1),
            4: StepTime(11.1, 0.045, 2.9e-5, 1),
            8: StepTime(9.0, 0.030, 1.6e-5, 1),
        },
        f"{_SILICON} (vLLM): 7.5 / 2.1 / 3.9 % mean error",
    ),
    Profile(
        "h200-70b-fp8",
        LLAMA_70B_FP8,
        "H200",
        139.7,
        {
            1: StepTime(20.6, 0.105, 6.3e-5, 1),
            2: StepTime(13.0, 0.069, 3.3e-5, 1),
            4: StepTime(9.2, 0.043, 2.1e-5, 1),
            8: StepTime(7.9, 0.026, 1.2e-5, 1),
        },
        f"{_SILICON} (vLLM): 3.2 to 4.4 % mean error",
    ),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({profile.name: profile for profile in _ALL})
