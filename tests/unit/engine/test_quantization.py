"""How a quantized checkpoint is read, and how many bytes it comes to."""

from typing import Any

import pytest

from llmfleet.engine.models import table as models
from llmfleet.engine.models.architecture import Architecture, read
from llmfleet.engine.models.parameters import PARTS
from llmfleet.engine.models.quantization import Quantization
from tests.unit.engine.test_architecture import LLAMA

LINEAR = {"attention", "key_value", "latent", "dense_mlp", "routed_experts", "shared_experts"}


def quantized(config: dict[str, Any], **change: Any) -> Quantization:
    found = read(LLAMA | change | {"quantization_config": config}).quantization
    assert found is not None
    return found


def checkpoint_bytes(architecture: Architecture) -> float:
    sizes = {part: int(getattr(architecture.parameters, part)) for part in PARTS}
    return sum(size * architecture.bytes_per_parameter(part) for part, size in sizes.items())


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("openai/gpt-oss-20b", 13_761_264_768),
        ("openai/gpt-oss-120b", 65_248_815_744),
        ("Qwen/Qwen3-8B", 16_381_470_720),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8", 9.08e9),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", 5.73e9),
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", 39.77e9),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", 5.57e9),
        ("Qwen/Qwen2.5-32B-Instruct-AWQ", 19.33e9),
        ("Qwen/Qwen3-8B-FP8", 9.44e9),
    ],
)
def test_the_bytes_are_those_of_the_files_at_the_hub(name: str, size: float) -> None:
    architecture = models.find(name)
    assert architecture is not None
    assert checkpoint_bytes(architecture) == pytest.approx(size, rel=0.002)


def compressed(weights: dict[str, Any], inputs: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}, "ignore": ["lm_head"], **more}


SCHEMES: dict[str, tuple[dict[str, Any], tuple[str, int, bool, int, float]]] = {
    "awq": ({"quant_method": "awq", "bits": 4, "group_size": 128}, ("awq", 4, False, 16, (4 + 20 / 128) / 8)),
    "gptq, whole rows": ({"quant_method": "gptq", "bits": 8, "group_size": -1}, ("gptq", 8, False, 16, 1.0)),
    "fp8": ({"quant_method": "fp8", "activation_scheme": "static"}, ("fp8", 8, True, 8, 1.0)),
    "fp8 blocks": (
        {"quant_method": "fp8", "weight_block_size": [128, 128]},
        ("fp8", 8, True, 8, 1 + 4 / 128**2),
    ),
    "fbgemm": ({"quant_method": "fbgemm_fp8"}, ("fbgemm_fp8", 8, True, 8, 1.0)),
    "mxfp4": ({"quant_method": "mxfp4"}, ("mxfp4", 4, True, 16, 4.25 / 8)),
    "modelopt fp8": (
        {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}},
        ("modelopt", 8, True, 8, 1.0),
    ),
    "modelopt fp4": ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, ("modelopt_fp4", 4, True, 4, 4.5 / 8)),
    "w8a8 fp8": (
        compressed({"num_bits": 8, "type": "float"}, {"num_bits": 8}),
        ("compressed-tensors", 8, True, 8, 1.0),
    ),
    "w4a16": (
        compressed({"num_bits": 4, "type": "int", "group_size": 128}, None),
        ("compressed-tensors", 4, False, 16, (4 + 16 / 128) / 8),
    ),
    "nvfp4": (
        compressed({"num_bits": 4, "type": "float", "group_size": 16}, {"num_bits": 4}),
        ("compressed-tensors", 4, True, 4, 4.5 / 8),
    ),
    "bitsandbytes": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        ("bitsandbytes", 4, True, 16, 4.5 / 8),
    ),
    "bitsandbytes 8": (
        {"quant_method": "BitsAndBytes", "load_in_8bit": True},
        ("bitsandbytes", 8, False, 8, 1.0),
    ),
}


@pytest.mark.parametrize(("config", "expected"), SCHEMES.values(), ids=SCHEMES)
def test_methods_are_read(config: dict[str, Any], expected: tuple[str, int, bool, int, float]) -> None:
    found = quantized(config)
    scheme = found.scheme
    assert (found.method, scheme.bits, scheme.floating, scheme.activation_bits, scheme.bytes_per_weight) == expected
    assert found.caveat == ""


def test_the_old_name_of_compressed_tensors_is_understood() -> None:
    group = {"weights": {"num_bits": 8, "type": "int"}, "input_activations": None}
    config = {"quant_method": "compressed_tensors", "config_groups": {"group_0": group}}
    assert quantized(config).method == "compressed-tensors"


def test_embeddings_norms_and_the_output_stay_as_they_are() -> None:
    shares = quantized({"quant_method": "fp8"}).shares
    assert set(shares) - {"vision"} == LINEAR
    assert set(shares.values()) == {1.0}


def test_mxfp4_is_for_experts_only() -> None:
    assert set(quantized({"quant_method": "mxfp4"}).shares) == {"routed_experts"}


@pytest.mark.parametrize(
    ("ignored", "part", "share"),
    [
        (["model.layers.0.self_attn.q_proj"], "attention", 15 / 16),
        (["model.layers.0.self_attn"], "key_value", 7 / 8),
        (["self_attn"], "attention", 0.0),
        (["re:.*self_attn.*"], "attention", 0.0),
        (["re:.*mlp\\.gate$"], "dense_mlp", 1.0),
        (["model.layers.1.mlp.gate"], "dense_mlp", 1.0),
        (["re:.*mlp.gate_proj$"], "dense_mlp", 2 / 3),
        (["model.layers.*.mlp.shared_expert*"], "shared_experts", 0.0),
        (["language_model.model.layers.1.mlp.down_proj"], "dense_mlp", 23 / 24),
        (["re:vision_tower.*"], "vision", 0.0),
        (["visual"], "vision", 0.0),
        (["lm_head"], "attention", 1.0),
    ],
)
def test_exceptions_are_left_out(ignored: list[str], part: str, share: float) -> None:
    """Names, globs and the usual regular expressions; a router's `gate` is no `gate_proj`."""
    config = {"quant_method": "fp8", "modules_to_not_convert": ignored}
    assert quantized(config).shares.get(part, 0.0) == pytest.approx(share)


def test_an_exception_that_is_not_understood_is_said() -> None:
    found = quantized({"quant_method": "fp8", "ignored_layers": ["re:.*(q|k)_proj"]})
    assert found.caveat == (
        "The exception 're:.*(q|k)_proj' from quantization is not understood, and the layers that it may name are "
        "counted as quantized: the real weights may be larger."
    )


def test_an_unknown_method_counts_as_not_quantized_and_says_so() -> None:
    shape = read(LLAMA | {"quantization_config": {"quant_method": "newcomer"}})
    assert checkpoint_bytes(shape) == 2 * shape.parameters.total
    assert shape.caveats[0] == (
        "How many bits a weight of the quantization method newcomer has is not known: 16 are counted, and the real "
        "weights may be smaller."
    )


@pytest.mark.parametrize(
    ("config", "bits"),
    [
        ({"quant_method": "fp8"}, None),
        (compressed({"num_bits": 8, "type": "float"}, None, kv_cache_scheme={"num_bits": 8, "type": "float"}), 8),
        ({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}, 8),
    ],
)
def test_the_kv_cache_of_the_checkpoint_is_read(config: dict[str, Any], bits: int | None) -> None:
    assert quantized(config).kv_cache_bits == bits


def test_a_bad_block_is_answered_with_a_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"weight_block_size must be two whole numbers, rows and columns: correct it\."
    ):
        quantized({"quant_method": "fp8", "weight_block_size": [128]})
