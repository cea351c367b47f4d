"""How a checkpoint is quantized, as its config.json says. Part of `architecture.py`.

The keys are those of the writers of checkpoints: AutoAWQ, GPTQModel, llm-compressor (compressed-tensors), ModelOpt,
bitsandbytes, DeepSeek's and OpenAI's own. Method names as in vLLM 0.32 (`model_arch_config_convertor.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from llmfleet.engine.models.config_json import Keys
from llmfleet.engine.models.modules import Ignored, quantized_shares

WORD_BITS = 16
"""Bits of a weight that is not quantized."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How the weights of a quantized layer are stored."""

    bits: int
    """Bits of a weight."""
    floating: bool
    """The weights are small floats, not integers."""
    activation_bits: int = WORD_BITS
    """Bits of the activations they are multiplied with; 16: only weights are quantized."""
    group_size: int | None = None
    """Weights in a row that share a scale; None: a whole row or matrix."""
    block: tuple[int, int] | None = None
    """Rows and columns that share a scale."""
    scale_bits: int = WORD_BITS
    """Bits of a scale."""
    zero_points: bool = False
    """A group has a zero point of `bits` beside its scale."""

    @property
    def bytes_per_weight(self) -> float:
        """Bytes of a weight with its share of the scales."""
        shared = self.block[0] * self.block[1] if self.block else self.group_size
        extra = (self.scale_bits + (self.bits if self.zero_points else 0)) / shared if shared else 0.0
        return (self.bits + extra) / 8


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """Quantization of a checkpoint."""

    method: str
    """vLLM's name of the method, in lower case."""
    scheme: Scheme
    shares: Mapping[str, float] = field(hash=False)
    """For each part of `Parameters` that is quantized: which share of it, 0 < share <= 1."""
    kv_cache_bits: int | None = None
    """Bits of keys and values that the checkpoint asks for; None: it does not."""
    caveat: str = ""
    """A sentence on what could not be read, or empty."""


def quantization(root: Keys, text: Keys, *, layers: int) -> Quantization | None:
    """The quantization_config of the model or of its text part; None: not quantized."""
    keys = root.section("quantization_config") or root.section("compression_config")
    keys = keys or text.section("quantization_config")
    if keys is None:
        return None
    method, scheme = _method(keys), _scheme(keys)
    caveat = ""
    if scheme is None:
        scheme = Scheme(bits=WORD_BITS, floating=True)
        caveat = (
            f"How many bits a weight of the quantization method {method or '(none named)'} has is not known: "
            "16 are counted, and the real weights may be smaller."
        )
    ignored = Ignored.of(_ignored(keys))
    if ignored.unread:
        caveat = caveat or (
            f"The exception {ignored.unread[0][:60]!r} from quantization is not understood, and the layers that it may "
            "name are counted as quantized: the real weights may be larger."
        )
    return Quantization(
        method=method,
        scheme=scheme,
        shares=MappingProxyType(quantized_shares(ignored, layers=layers, experts_only=method == "mxfp4")),
        kv_cache_bits=_kv_cache_bits(keys),
        caveat=caveat,
    )


def _method(keys: Keys) -> str:
    method = (keys.text("quant_method") or "").lower().replace("compressed_tensors", "compressed-tensors")
    if _producer(keys) == "modelopt" or method == "modelopt":
        return "modelopt_fp4" if "NVFP4" in _algorithm(keys) else "modelopt"
    return method


def _producer(keys: Keys) -> str:
    producer = keys.section("producer")
    return (producer.text("name") or "") if producer else ""


def _algorithm(keys: Keys) -> str:
    inner = keys.section("quantization")
    return ((inner.text("quant_algo") if inner else None) or keys.text("quant_algo") or "").upper()


def _ignored(keys: Keys) -> tuple[str, ...]:
    inner = keys.section("quantization") or keys
    names = ("ignore", "modules_to_not_convert", "ignored_layers", "exclude_modules", "llm_int8_skip_modules")
    return keys.texts(*names) or inner.texts(*names) or ()


def _scheme(keys: Keys) -> Scheme | None:
    method = _method(keys)
    if method == "modelopt":
        return Scheme(bits=8, floating=True, activation_bits=8) if "FP8" in _algorithm(keys) else None
    if method in _FIXED:
        return _FIXED[method]
    return _READERS.get(method, _integers)(keys)


def _fp8(keys: Keys) -> Scheme:
    block = keys.integers("weight_block_size")
    if block is not None and (len(block) != 2 or min(block) < 1):  # noqa: PLR2004
        raise ValueError(
            "quantization_config.weight_block_size must be two whole numbers, rows and columns: correct it."
        )
    pair = (block[0], block[1]) if block else None
    return Scheme(bits=8, floating=True, activation_bits=8, block=pair, scale_bits=32)


def _bitsandbytes(keys: Keys) -> Scheme:
    if keys.flag("load_in_8bit", default=False):
        return Scheme(bits=8, floating=False, activation_bits=8)
    return Scheme(bits=4, floating=True, group_size=64, scale_bits=32)


def _integers(keys: Keys) -> Scheme | None:
    """AWQ, GPTQ and their kin; group size -1 is a whole row. GPTQ stores zero points of symmetric weights, too."""
    bits = keys.maybe_integer("bits", "w_bit", most=WORD_BITS)
    if bits is None:
        return None
    group = keys.maybe_integer("group_size", "q_group_size", least=-1) or -1
    return Scheme(
        bits=bits,
        floating=False,
        group_size=group if group > 0 else None,
        zero_points=keys.flag("zero_point", default=True),
    )


def _compressed_tensors(keys: Keys) -> Scheme | None:
    """The first group; checkpoints of several schemes are rare."""
    named = keys.section("config_groups")
    found = named.sections() if named else ()
    weights = found[0].section("weights") if found else None
    if weights is None:
        return None
    inputs = found[0].section("input_activations")
    block = weights.integers("block_structure")
    bits, floating = weights.integer("num_bits", most=WORD_BITS), weights.text("type") == "float"
    group = weights.maybe_integer("group_size", least=-1) or -1
    return Scheme(
        bits=bits,
        floating=floating,
        activation_bits=inputs.integer("num_bits", default=WORD_BITS, most=WORD_BITS) if inputs else WORD_BITS,
        group_size=group if group > 0 else None,
        block=(block[0], block[1]) if block and len(block) == 2 and min(block) > 0 else None,  # noqa: PLR2004
        scale_bits=8 if floating and bits == 4 else WORD_BITS,  # noqa: PLR2004
        zero_points=not weights.flag("symmetric", default=True),
    )


def _kv_cache_bits(keys: Keys) -> int | None:
    if scheme := keys.section("kv_cache_scheme"):
        return scheme.maybe_integer("num_bits", most=WORD_BITS)
    inner = keys.section("quantization") or keys
    return 8 if "FP8" in (inner.text("kv_cache_quant_algo") or "").upper() else None


_FIXED: Mapping[str, Scheme] = MappingProxyType(
    {
        "mxfp4": Scheme(bits=4, floating=True, group_size=32, scale_bits=8),
        "modelopt_fp4": Scheme(bits=4, floating=True, activation_bits=4, group_size=16, scale_bits=8),
    }
)
_READERS: Mapping[str, Callable[[Keys], Scheme | None]] = MappingProxyType(
    {
        "bitsandbytes": _bitsandbytes,
        "compressed-tensors": _compressed_tensors,
        "fbgemm_fp8": _fp8,
        "fp8": _fp8,
    }
)
