"""The quantization methods of vLLM: what each needs, since and until when, and how many bytes a weight takes.

Read by the memory plan and by the checks. Sources: vLLM 0.33.0 `model_executor/layers/quantization/` (names and
`get_min_capability`), the comparison of its releases 0.6.0 to 0.33.0 (when a name went), and the formats' own papers
and layouts (scales and zeros). A name that is not listed may be a plugin's: then nothing is known of it.
"""

from dataclasses import dataclass

from llmfleet.engine.version import Version

Capability = tuple[int, int]
"""CUDA compute capability, major and minor."""

ANY: Capability = (0, 0)
BFLOAT16: Capability = (8, 0)
"""From here on vLLM computes in bfloat16 (`platforms/cuda.py`)."""
ALWAYS = Version(0, 0)
ONLINE_SHORTHANDS = Version(0, 20, 0)
"""From here on vLLM quantizes an unquantized checkpoint by the names fp8_per_tensor, mxfp8 and their like."""
GROUP = 128
"""Weights that share a scale, where the checkpoint says nothing else."""
HALF = 2.0
"""Bytes of a scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One quantization method."""

    weight_bytes: float | None
    """Bytes of one weight with its share of scales and zeros; None where only the checkpoint can tell."""
    capability: Capability
    """Least compute capability."""
    online: bool = False
    """Whether it quantizes an unquantized checkpoint while loading; others need one that is quantized already."""
    since: Version = ALWAYS
    until: Version | None = None
    """The last release that has it; None: still there."""
    instead: str = ""
    """What to do where it is gone."""
    dtype: str | None = None
    """The one type in which its kernels compute; None: half and bfloat16."""
    experts_only: bool = False
    """Whether attention and dense layers keep their type."""


def grouped(bits: float, group: int = GROUP, *, zeros: bool = True) -> float:
    """Bytes of a weight of `bits` with a half-precision scale, and perhaps a packed zero, for each `group` weights."""
    return bits / 8 + (HALF + (bits / 8 if zeros else 0.0)) / group


FOUR_BIT = grouped(4)
FP8 = 1.0
"""One byte; a scale for each tensor, channel or 128 x 128 block is less than 0.1 %."""
MXFP4 = 4 / 8 + 1 / 32
"""A one-byte scale for each 32 weights (OCP Microscaling)."""
NVFP4 = 4 / 8 + 1 / 16
"""A one-byte scale for each 16 weights."""
MXFP8 = 1 + 1 / 32

_REMOVED_0_14 = "use a checkpoint in compressed-tensors, GPTQ or AWQ format"
_PLUGIN = "install its plugin in the image, or use another format"


def _four_bit(capability: Capability) -> Method:
    return Method(weight_bytes=FOUR_BIT, capability=capability)


def _gone(last: Version, instead: str, *, weight_bytes: float | None = None, capability: Capability = (7, 0)) -> Method:
    return Method(weight_bytes=weight_bytes, capability=capability, until=last, instead=instead)


METHODS: dict[str, Method] = {
    "awq": _four_bit((7, 5)),
    "auto_awq": _four_bit((7, 5)),
    "awq_marlin": _four_bit((7, 5)),
    "gptq": _four_bit((6, 0)),
    "auto_gptq": _four_bit((6, 0)),
    "gptq_marlin": _four_bit((7, 5)),
    "moe_wna16": _four_bit((7, 0)),
    "fp8": Method(weight_bytes=FP8, capability=(7, 5), online=True),
    "fbgemm_fp8": Method(weight_bytes=FP8, capability=(8, 0)),
    "modelopt": Method(weight_bytes=FP8, capability=(8, 0)),
    "modelopt_fp4": Method(weight_bytes=NVFP4, capability=(7, 5)),
    "modelopt_mxfp8": Method(weight_bytes=MXFP8, capability=(8, 0), dtype="bfloat16"),
    "modelopt_mixed": Method(weight_bytes=None, capability=(7, 5)),
    "compressed-tensors": Method(weight_bytes=None, capability=(7, 0)),
    "quark": Method(weight_bytes=None, capability=(7, 0)),
    "torchao": Method(weight_bytes=None, capability=(7, 5)),
    "inc": Method(weight_bytes=FOUR_BIT, capability=(6, 0)),
    "humming": Method(weight_bytes=None, capability=(7, 5)),
    "fp_quant": Method(weight_bytes=None, capability=(10, 0)),
    "mxfp4": Method(weight_bytes=MXFP4, capability=(8, 0), experts_only=True, dtype="bfloat16"),
    "gpt_oss_mxfp4": Method(weight_bytes=MXFP4, capability=(8, 0), experts_only=True, dtype="bfloat16"),
    "deepseek_v4_fp8": Method(weight_bytes=None, capability=(8, 9)),
    "experts_int8": Method(weight_bytes=1.0, capability=(8, 0), online=True, experts_only=True),
    "online": Method(weight_bytes=None, capability=(7, 5), online=True, since=ONLINE_SHORTHANDS),
    "fp8_per_tensor": Method(weight_bytes=FP8, capability=(7, 5), online=True, since=ONLINE_SHORTHANDS),
    "fp8_per_block": Method(weight_bytes=FP8, capability=(7, 5), online=True, since=ONLINE_SHORTHANDS),
    "fp8_per_channel": Method(weight_bytes=FP8, capability=(7, 5), online=True, since=ONLINE_SHORTHANDS),
    "int8_per_channel_weight_only": Method(weight_bytes=1.0, capability=(7, 5), online=True, since=ONLINE_SHORTHANDS),
    "nvfp4_per_token": Method(weight_bytes=NVFP4, capability=(7, 5), online=True, since=ONLINE_SHORTHANDS),
    "mxfp8": Method(weight_bytes=MXFP8, capability=(7, 5), online=True, since=ONLINE_SHORTHANDS),
    "bitsandbytes": Method(
        weight_bytes=grouped(4, 64, zeros=False),
        capability=(7, 0),
        online=True,
        until=Version(0, 27, 1),
        instead=_PLUGIN,
    ),
    "gguf": _gone(Version(0, 23, 0), _PLUGIN, capability=(6, 0)),
    "ptpc_fp8": _gone(Version(0, 18, 1), "use fp8", weight_bytes=FP8, capability=(9, 4)),
    "petit_nvfp4": _gone(Version(0, 19, 1), "use modelopt_fp4", weight_bytes=NVFP4, capability=(9, 0)),
    "auto-round": _gone(Version(0, 14, 1), "use inc", weight_bytes=FOUR_BIT, capability=(6, 0)),
    "bitblas": _gone(Version(0, 14, 1), _REMOVED_0_14),
    "gptq_bitblas": _gone(Version(0, 14, 1), _REMOVED_0_14),
    "gptq_marlin_24": _gone(Version(0, 14, 1), _REMOVED_0_14, capability=(8, 0)),
    "deepspeedfp": _gone(Version(0, 14, 1), _REMOVED_0_14, capability=(6, 0)),
    "hqq": _gone(Version(0, 14, 1), _REMOVED_0_14, capability=(8, 0)),
    "rtn": _gone(Version(0, 14, 1), "use fp8 or int8_per_channel_weight_only", capability=(8, 0)),
    "marlin": _gone(Version(0, 10, 1), _REMOVED_0_14, capability=(8, 0)),
    "qqq": _gone(Version(0, 10, 1), _REMOVED_0_14, capability=(8, 0)),
    "aqlm": _gone(Version(0, 10, 0), _REMOVED_0_14, capability=(6, 0)),
}
"""vLLM's name -> what is known of it."""

FAMILIES: tuple[frozenset[str], ...] = (
    frozenset({"awq", "auto_awq", "awq_marlin", "moe_wna16", "humming"}),
    frozenset({"gptq", "auto_gptq", "gptq_marlin", "moe_wna16", "humming", "gptq_bitblas"}),
    frozenset({"mxfp4", "gpt_oss_mxfp4", "humming"}),
    frozenset({"modelopt", "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed"}),
    frozenset({"inc", "auto-round"}),
)
"""Names that may be said of one and the same checkpoint: vLLM takes the kernel that is named."""

HALF_ONLY = frozenset({"awq", "gptq"})
"""Methods whose kernels computed in float16 alone in earlier releases; 0.32 has both types."""
HALF_ONLY_UNTIL = Version(0, 32, 0)
NATIVE_FP8: Capability = (8, 9)
"""From here on GPUs compute in FP8; older ones unpack FP8 weights (Marlin), which saves memory but no time."""
FP8_KV_CACHE: Capability = (8, 0)
"""From here on vLLM's attention kernels take an FP8 KV cache; before, Triton has no such type to convert to."""


def method(name: str | None) -> Method | None:
    """What is known of a method; None for no name or one that is not vLLM's own."""
    return METHODS.get(name.replace("compressed_tensors", "compressed-tensors")) if name else None


def is_counted(name: str | None) -> bool:
    """Whether the name alone tells how many bits a weight takes; no name does: 16."""
    known = method(name)
    return name is None or (known is not None and known.weight_bytes is not None)


def belong_together(checkpoint: str, asked: str) -> bool:
    """Whether vLLM accepts `asked` for a checkpoint whose config.json says `checkpoint`."""
    return checkpoint == asked or any({checkpoint, asked} <= family for family in FAMILIES)


def capability_of(text: str) -> Capability | None:
    """Read `9.0`; None for nothing (a GPU that is not NVIDIA's, or unknown)."""
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major and minor else None
