"""Whether GPU, vLLM, checkpoint and types go together: quantization, bfloat16, the KV cache's type. Part of the checks.

Sources: vLLM 0.33.0 `config/vllm.py` (capability, types of activations), `config/model.py` (the checkpoint's method
against the one that is asked for), `model_loader/weight_utils.py` (methods that need a quantized checkpoint),
`platforms/cuda.py` (bfloat16), and what its attention backends say of FP8 before compute capability 8.9.
"""

from collections.abc import Callable

from llmfleet.api.conditions import Reason
from llmfleet.engine.memory.planning import Case
from llmfleet.engine.methods import (
    BFLOAT16,
    HALF_ONLY,
    HALF_ONLY_UNTIL,
    METHODS,
    NATIVE_FP8,
    Capability,
    belong_together,
    method,
)
from llmfleet.engine.models.quantization import Scheme
from llmfleet.engine.problem import Problem, warning
from llmfleet.engine.version import Version

FP8_CACHE_REFUSED = Version(0, 24, 0)
"""From here on vLLM refuses an FP8 KV cache where its Triton backend would have to take it."""
MORE_CACHE_TYPES = Version(0, 20, 0)
"""Until 0.19 there were only these."""
OLD_CACHE_TYPES = frozenset({"auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "fp8_ds_mla"})
FULL_PRECISION = frozenset({"float", "float32"})


def gpu_takes_the_quantization(of: Case) -> Problem | None:
    """The GPU has the kernels of the method that is asked for, or that the checkpoint has."""
    if of.gpu is None or of.gpu.capability is None:
        return None
    name, needed = _needed(of)
    if needed is None or of.gpu.capability >= needed:
        return None
    remedy = (
        "choose a newer GPU"
        if of.setup.quantization is None
        else "remove spec.engine.quantization or choose a newer GPU"
    )
    return Problem(
        Reason.QUANTIZATION_UNSUPPORTED_ON_GPU,
        f"{name} needs compute capability {_text(needed)}, and the profile {of.gpu.name} has "
        f"{_text(of.gpu.capability)}: {remedy}, or a checkpoint in another format.",
    )


def engine_knows_the_quantization(of: Case) -> Problem | None:
    """The vLLM in use has the method; a plugin may bring others, so this is only a warning."""
    name = of.setup.quantization
    if name is None:
        return None
    known = method(name)
    if known is None:
        return warning(
            f"spec.engine.quantization {name} is no method of vLLM's own: the engine starts only if the image has its "
            "plugin; correct the name, or leave it out to use what the checkpoint says."
        )
    if known.until and of.version > known.until:
        return warning(
            f"spec.engine.quantization {name} is gone from vLLM since {known.until}, and the image is vLLM "
            f"{of.version}: {known.instead}."
        )
    if of.version < known.since:
        return warning(
            f"spec.engine.quantization {name} needs vLLM {known.since} or newer, and the image is vLLM {of.version}: "
            "take a newer image, or fp8."
        )
    return None


def checkpoint_takes_the_quantization(of: Case) -> Problem | None:
    """The method that is asked for is the checkpoint's, or one that quantizes while loading."""
    asked = of.setup.quantization
    if asked is None or of.architecture is None:
        return None
    checkpoint = of.architecture.quantization
    if checkpoint is not None:
        if not checkpoint.method or belong_together(checkpoint.method, asked):
            return None
        return _mismatch(
            of,
            f"the checkpoint of {of.model} is quantized with {checkpoint.method}, and spec.engine.quantization says "
            f"{asked}: remove it, and vLLM takes what the checkpoint says",
        )
    known = method(asked)
    if known is None or known.online:
        return None
    return _mismatch(
        of,
        f"the checkpoint of {of.model} is not quantized, and {asked} needs one that is: remove "
        "spec.engine.quantization, set it to fp8 (which quantizes while loading), or choose a quantized checkpoint",
    )


def dtype_suits_the_quantization(of: Case) -> Problem | None:
    """Kernels of quantized weights compute in half precision; some in float16 alone."""
    checkpoint = of.architecture.quantization if of.architecture else None
    name = of.setup.quantization or (checkpoint.method if checkpoint and of.is_exact else None)
    known = method(name)
    if name is None or known is None:
        return None
    if of.setup.dtype in FULL_PRECISION:
        return Problem(
            Reason.QUANTIZATION_MISMATCH,
            f"{name} computes in half precision, and spec.engine.dtype says {of.setup.dtype}: set it to auto.",
        )
    if known.dtype and of.setup.dtype not in {"auto", known.dtype}:
        return Problem(
            Reason.QUANTIZATION_MISMATCH,
            f"{name} computes in {known.dtype} only, and spec.engine.dtype says {of.setup.dtype}: set it to auto.",
        )
    if name in HALF_ONLY and of.version < HALF_ONLY_UNTIL and of.setup.dtype == "bfloat16":
        return warning(
            f"The kernels of {name} computed in float16 alone before vLLM {HALF_ONLY_UNTIL}, and the image is vLLM "
            f"{of.version}, which may refuse spec.engine.dtype bfloat16: set it to half, or take {name}_marlin."
        )
    return None


def gpu_computes_the_checkpoints_dtype(of: Case) -> Problem | None:
    """Where the type is left to vLLM, the GPU has the checkpoint's own."""
    if of.gpu is None or of.gpu.capability is None or of.gpu.capability >= BFLOAT16:
        return None
    if of.architecture is None or of.architecture.dtype != "bfloat16" or of.setup.dtype != "auto":
        return None
    return warning(
        f"{of.model} is in bfloat16, which needs compute capability 8.0, and the profile {of.gpu.name} has "
        f"{_text(of.gpu.capability)}: vLLM falls back to float16, in which some models overflow; set spec.engine.dtype "
        "to half to accept it, or choose a newer GPU."
    )


def gpu_takes_the_cache_type(of: Case) -> Problem | None:
    """The GPU's attention kernels read a KV cache of eight bits."""
    cached, capability = of.setup.kv_cache_dtype or "auto", of.gpu.capability if of.gpu else None
    if of.gpu is None or capability is None or not cached.startswith("fp8") or capability >= NATIVE_FP8:
        return None
    words = (
        f"spec.engine.kvCacheDtype {cached} needs compute capability 8.9, and the profile {of.gpu.name} has "
        f"{_text(capability)}"
    )
    if capability < BFLOAT16 and of.version >= FP8_CACHE_REFUSED:
        return Problem(Reason.DTYPE_UNSUPPORTED_ON_GPU, f"{words}: remove it.")
    return warning(f"{words}: the engine starts only with an attention backend that unpacks it; better remove it.")


def engine_knows_the_cache_type(of: Case) -> Problem | None:
    """The vLLM in use has the type."""
    cached = of.setup.kv_cache_dtype
    if cached is None or cached in OLD_CACHE_TYPES or of.version >= MORE_CACHE_TYPES:
        return None
    return Problem(
        Reason.FLAG_UNKNOWN_TO_ENGINE,
        f"spec.engine.kvCacheDtype {cached} needs vLLM {MORE_CACHE_TYPES} or newer, and the image is vLLM "
        f"{of.version}: set it to fp8, or take a newer image.",
    )


def _needed(of: Case) -> tuple[str, Capability | None]:
    """The method in use, and the least compute capability that it needs."""
    checkpoint = of.architecture.quantization if of.architecture else None
    if of.setup.quantization is not None:
        known = method(of.setup.quantization)
        return of.setup.quantization, known.capability if known else None
    if checkpoint is None or not of.is_exact:
        return "", None
    known = method(checkpoint.method)
    least = _of_scheme(checkpoint.scheme) if checkpoint.method == "compressed-tensors" else None
    return f"The checkpoint's quantization {checkpoint.method}", least or (known.capability if known else None)


def _of_scheme(scheme: Scheme) -> Capability:
    """Compressed tensors: each scheme has kernels of its own (8-bit floats fall back to kernels that unpack them)."""
    if scheme.floating and scheme.bits == 4 and scheme.group_size == 32:  # noqa: PLR2004 - MXFP4
        return METHODS["mxfp4"].capability
    if scheme.bits == 4 and scheme.activation_bits == 8:  # noqa: PLR2004 - W4A8
        return (9, 0)
    return (7, 5)


def _mismatch(of: Case, words: str) -> Problem:
    """Certain only of the model's own checkpoint."""
    sentence = f"{words[0].upper()}{words[1:]}."
    return Problem(Reason.QUANTIZATION_MISMATCH, sentence) if of.is_exact else warning(sentence)


def _text(capability: Capability) -> str:
    return f"{capability[0]}.{capability[1]}"


JUDGES: tuple[Callable[[Case], Problem | None], ...] = (
    checkpoint_takes_the_quantization,
    gpu_takes_the_quantization,
    engine_knows_the_quantization,
    dtype_suits_the_quantization,
    gpu_computes_the_checkpoints_dtype,
    gpu_takes_the_cache_type,
    engine_knows_the_cache_type,
)
