"""What is read from a model's config.json, and what is said of a bad one."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmfleet.engine.models import table as models
from llmfleet.engine.models.architecture import Architecture, read
from llmfleet.engine.models.attention import AttentionKind

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 8,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
}
LATENT = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 96}


def known(name: str) -> Architecture:
    found = models.find(name)
    assert found is not None
    return found


def kinds(architecture: Architecture) -> str:
    """One letter a layer: Full, Sliding, Chunked, Linear."""
    letters = {position: group.kind[0].upper() for group in architecture.kv_groups for position in group.positions}
    return "".join(letters[i] for i in range(architecture.layers))


def test_every_number_of_a_plain_model_is_read() -> None:
    shape = known("meta-llama/Llama-3.1-8B-Instruct")
    assert (shape.layers, shape.hidden_size, shape.intermediate_size) == (32, 4096, 14336)
    assert (shape.attention_heads, shape.kv_heads, shape.head_size, shape.value_head_size) == (32, 8, 128, 128)
    assert (shape.vocabulary_size, shape.tied_embeddings, shape.dtype, shape.dtype_bytes) == (
        128256,
        False,
        "bfloat16",
        2,
    )
    assert shape.architectures == ("LlamaForCausalLM",)
    assert (shape.experts, shape.mla, shape.quantization, shape.multimodal, shape.caveats) == (
        None,
        None,
        None,
        False,
        (),
    )


def test_the_parts_add_up() -> None:
    """Llama 3.1 8B by hand: what the parts are called and how large they are."""
    parts = known("meta-llama/Llama-3.1-8B").parameters
    assert parts.embedding == parts.lm_head == 128256 * 4096
    assert parts.attention == 32 * 2 * 4096 * 4096
    assert parts.key_value == 32 * 2 * 4096 * 1024
    assert parts.dense_mlp == 32 * 3 * 4096 * 14336
    assert parts.norms_and_router == 65 * 4096
    assert parts.total == parts.active == 8_030_261_248


@pytest.mark.parametrize(
    ("name", "active"),
    [
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 12.9e9),
        ("meta-llama/Llama-4-Maverick-17B-128E-Instruct", 17.2e9),
        ("Qwen/Qwen3-30B-A3B", 3.3e9),
        ("Qwen/Qwen3-235B-A22B", 22.2e9),
        ("deepseek-ai/DeepSeek-V3", 37.6e9),
        ("moonshotai/Kimi-K2-Instruct", 32.9e9),
    ],
)
def test_active_parameters_are_what_one_token_uses(name: str, active: float) -> None:
    """The figures in the names and papers of the mixtures of experts."""
    assert known(name).parameters.active == pytest.approx(active, rel=0.02)


@pytest.mark.parametrize(
    ("change", "longest", "default"),
    [
        ({}, 4096, 4096),
        ({"rope_scaling": None}, 4096, 4096),
        ({"rope_scaling": {"rope_type": "default"}}, 4096, 4096),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 16384, 16384),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2}}, 8192, 8192),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 4096, 4096),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}}, 4096, 4096),
        ({"rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}}, 4096, 4096),
        ({"rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 512}, 4096, 512),
        ({"rope_scaling": {"type": "su"}, "original_max_position_embeddings": 512}, 4096, 512),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, 8192, 8192),
        ({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0}}}, 8192, 8192),
        ({"seq_length": 2048}, 2048, 2048),
        ({"model_max_length": 131072}, 131072, 131072),
        ({"max_position_embeddings": None}, None, None),
        ({"max_position_embeddings": None, "n_positions": 1024}, 1024, 1024),
    ],
)
def test_the_longest_context_is_what_vllm_derives(
    change: dict[str, Any], longest: int | None, default: int | None
) -> None:
    """As vLLM 0.32 does: the factor counts except where the length key holds it already; longrope starts unscaled."""
    architecture = read(LLAMA | change)
    assert (architecture.max_context, architecture.default_context) == (longest, default)


def test_a_gemma_3_is_not_scaled_twice() -> None:
    assert known("google/gemma-3-4b-it").max_context == 131072


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("google/gemma-3-4b-it", "SSSSSF" * 5 + "SSSS"),
        ("google/gemma-3-1b-it", "SSSSSF" * 4 + "SS"),
        ("google/gemma-2-2b-it", "SF" * 13),
        ("openai/gpt-oss-20b", "SF" * 12),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "CCCF" * 12),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", "LLLF" * 12),
        ("mistralai/Mistral-7B-v0.1", "S" * 32),
        ("mistralai/Mistral-7B-Instruct-v0.3", "F" * 32),
        ("microsoft/Phi-3-mini-4k-instruct", "S" * 32),
        ("Qwen/Qwen3-8B", "F" * 36),
    ],
)
def test_each_layer_keeps_what_its_family_says(name: str, pattern: str) -> None:
    assert kinds(known(name)) == pattern


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"sliding_window": 512}, "S" * 8),
        ({"sliding_window": 0}, "F" * 8),
        ({"sliding_window": 4096}, "F" * 8),
        ({"sliding_window": 512, "use_sliding_window": False}, "F" * 8),
        ({"sliding_window": 512, "use_sliding_window": True, "max_window_layers": 6}, "F" * 6 + "S" * 2),
        ({"sliding_window": 512, "sliding_window_pattern": 4}, "SSSF" * 2),
        ({"sliding_window": 512, "layer_types": ["full_attention", "sliding_attention"] * 4}, "FS" * 4),
        ({"attention_chunk_size": 512, "no_rope_layers": [1, 0] * 4}, "CF" * 4),
        ({"attention_chunk_size": 512, "no_rope_layer_interval": 2}, "CF" * 4),
    ],
)
def test_windows_are_found_in_every_writing(change: dict[str, Any], pattern: str) -> None:
    """A window that holds the whole context is as good as none."""
    assert kinds(read(LLAMA | change)) == pattern


def test_groups_tell_sizes_and_windows() -> None:
    sliding, full = known("openai/gpt-oss-120b").kv_groups
    assert (sliding.kind, sliding.layers, sliding.window) == (AttentionKind.SLIDING, 18, 128)
    assert (full.kind, full.layers, full.window) == (AttentionKind.FULL, 18, None)
    assert (full.kv_heads, full.head_size, full.value_head_size) == (8, 64, 64)


def test_a_linear_layer_keeps_one_state() -> None:
    """Qwen3-Next: 8192 channels x 3 tokens and 32 heads x 128 x 128, 2 bytes each; nothing per token."""
    linear = known("Qwen/Qwen3-Next-80B-A3B-Instruct").kv_groups[0]
    assert (linear.kind, linear.layers, linear.kv_heads) == (AttentionKind.LINEAR, 36, 0)
    assert linear.state_bytes == 2 * (8192 * 3 + 32 * 128 * 128)


def test_the_recurrent_state_may_have_a_wider_type() -> None:
    linear = {
        "full_attention_interval": 4,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 16,
        "linear_conv_kernel_dim": 4,
    }
    config = LLAMA | {"model_type": "qwen3_next"} | linear
    narrow, wide = (read(config | {"mamba_ssm_dtype": dtype}).kv_groups[0] for dtype in ("bfloat16", "float32"))
    assert wide.state_bytes - narrow.state_bytes == 2 * 4 * 16 * 8


def test_a_latent_vector_is_one_head_without_values() -> None:
    shape = known("deepseek-ai/DeepSeek-V3")
    assert [(group.kv_heads, group.head_size, group.value_head_size) for group in shape.kv_groups] == [(1, 576, 0)]
    assert shape.mla is not None
    assert (shape.mla.q_lora_rank, shape.mla.kv_lora_rank, shape.attention_heads) == (1536, 512, 128)
    assert shape.mtp_layers == 1


def test_latent_attention_that_vllm_does_not_compress_caches_whole_heads() -> None:
    """A type that is not in vLLM's list would need far more memory than its latent vector."""
    group = read(LLAMA | LATENT | {"model_type": "minicpm3"}).kv_groups[0]
    assert (group.kv_heads, group.head_size, group.value_head_size) == (16, 192, 192)


@pytest.mark.parametrize(
    ("name", "positions"),
    [
        ("meta-llama/Llama-4-Maverick-17B-128E-Instruct", range(1, 48, 2)),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", range(48)),
        ("deepseek-ai/DeepSeek-V3", range(3, 61)),
        ("deepseek-ai/DeepSeek-V2-Lite", range(1, 27)),
        ("zai-org/GLM-4.5-Air", range(1, 46)),
        ("Qwen/Qwen3-30B-A3B", range(48)),
    ],
)
def test_experts_stand_in_the_layers_of_the_family(name: str, positions: range) -> None:
    experts = known(name).experts
    assert experts is not None
    assert experts.positions == tuple(positions)


@pytest.mark.parametrize(
    ("change", "positions"),
    [
        ({}, (0, 1, 2, 3, 4, 5, 6, 7)),
        ({"decoder_sparse_step": 2}, (1, 3, 5, 7)),
        ({"decoder_sparse_step": 2, "mlp_only_layers": [3]}, (1, 5, 7)),
        ({"first_k_dense_replace": 2, "moe_layer_freq": 3}, (3, 6)),
        ({"moe_layers": [2, 4]}, (2, 4)),
    ],
)
def test_experts_are_found_in_every_writing(change: dict[str, Any], positions: tuple[int, ...]) -> None:
    experts = read(LLAMA | {"num_experts": 8, "num_experts_per_tok": 2} | change).experts
    assert experts is not None
    assert experts.positions == positions


def test_shared_experts_are_counted_by_number_or_by_width() -> None:
    assert (experts := known("deepseek-ai/DeepSeek-V2-Lite").experts) is not None
    assert experts.shared_intermediate_size == 2 * 1408
    assert (experts := known("Qwen/Qwen3-Next-80B-A3B-Instruct").experts) is not None
    assert (experts.shared_intermediate_size, experts.shared_gate) == (512, True)
    assert (experts := known("Qwen/Qwen3-30B-A3B").experts) is not None
    assert experts.shared_intermediate_size == 0


def test_a_nested_text_part_is_read_with_the_defaults_of_its_family() -> None:
    """Gemma 3's own config.json names neither heads nor vocabulary."""
    shape = known("google/gemma-3-4b-it")
    assert (shape.attention_heads, shape.kv_heads, shape.head_size, shape.vocabulary_size) == (8, 4, 256, 262208)
    assert (shape.tied_embeddings, shape.multimodal, shape.dtype) == (True, True, "bfloat16")


def test_a_flat_and_a_nested_config_are_the_same_model() -> None:
    text = {key: value for key, value in LLAMA.items() if key not in {"architectures", "torch_dtype"}}
    nested = read({"model_type": "llava", "architectures": ["X"], "torch_dtype": "float16", "text_config": text})
    flat = read(LLAMA)
    assert nested.parameters == flat.parameters
    assert nested.kv_groups == flat.kv_groups
    assert nested.dtype == "float16"


def test_a_vision_part_of_a_stranger_is_estimated_and_said() -> None:
    vision = {"hidden_size": 1024, "num_hidden_layers": 24, "intermediate_size": 4096}
    shape = read({"model_type": "internvl", "text_config": LLAMA, "vision_config": vision})
    assert shape.parameters.vision > 300_000_000
    assert shape.caveats == ("The size of the vision part of a internvl is estimated from its width and depth.",)


def test_a_family_that_is_not_known_is_said() -> None:
    shape = read(LLAMA | {"model_type": "newcomer"})
    assert shape.parameters == read(LLAMA).parameters
    assert shape.caveats == (
        "Models of the type newcomer are not known, and this one is counted as a Llama of its sizes.",
    )


CORRECT = ": correct it, or take the config.json of the hub."
WHOLE = ", and must be a whole number" + CORRECT
MISSING = " is missing: give the whole config.json of the model, as it stands at the hub."
NO_PLAN = " whose memory is not known: a plan cannot be made for this model; start it once and read its log."
FACTOR = ", and must be between 0.001 and 10000" + CORRECT
BAD = {
    "nothing": ({"hidden_size": None}, "hidden_size" + MISSING),
    "a string": ({"num_hidden_layers": "32"}, "num_hidden_layers is '32'" + WHOLE),
    "a list": ({"intermediate_size": [4096, 4096]}, "intermediate_size is [4096, 4096]" + WHOLE),
    "a long list": ({"vocab_size": [1] * 99}, f"vocab_size is [{'1, ' * 18}1,..." + WHOLE),
    "true": ({"vocab_size": True}, "vocab_size is True" + WHOLE),
    "too large": (
        {"num_hidden_layers": 10**9},
        "num_hidden_layers is 1000000000, and must be between 1 and 1000" + CORRECT,
    ),
    "negative": ({"hidden_size": -1}, "hidden_size is -1, and must be between 1 and 1000000" + CORRECT),
    "beyond all numbers": (
        {"rope_scaling": {"rope_type": "linear", "factor": 10**400}},
        "rope_scaling.factor is a number of 1329 bits" + FACTOR,
    ),
    "not a number": (
        {"rope_scaling": {"rope_type": "linear", "factor": float("nan")}},
        "rope_scaling.factor is nan" + FACTOR,
    ),
    "a factor in quotes": (
        {"rope_scaling": {"rope_type": "linear", "factor": "4"}},
        "rope_scaling.factor is '4', and must be a number" + CORRECT,
    ),
    "rope is a list": ({"rope_scaling": [4]}, "rope_scaling is [4], and must be an object" + CORRECT),
    "a flag in quotes": (
        {"tie_word_embeddings": "no"},
        "tie_word_embeddings is 'no', and must be true or false" + CORRECT,
    ),
    "no list": (
        {"layer_types": "full"},
        "layer_types is 'full', and must be a list of strings" + CORRECT,
    ),
    "no head size": (
        {"hidden_size": 8},
        "hidden_size is smaller than num_attention_heads (16), so a head has no size: give head_dim, or correct one.",
    ),
    "KV heads": (
        {"num_key_value_heads": 5},
        "num_key_value_heads (5) does not divide num_attention_heads (16): correct one of them.",
    ),
    "too few layers": (
        {"layer_types": ["full_attention"]},
        "layer_types names 1 layers, and num_hidden_layers is 8: correct one of them.",
    ),
    "unknown layers": ({"layer_types": ["mamba"] * 8}, "layer_types has layers of the kind 'mamba'," + NO_PLAN),
    "layers with states": (
        {"mamba_d_state": 128},
        "config.json has the key mamba_d_state, which stands for layers" + NO_PLAN,
    ),
    "experts": (
        {"num_experts": 2, "num_experts_per_tok": 4},
        "num_experts_per_tok (4) is more than the 2 experts that there are: correct one of them.",
    ),
    "half a latent": ({"kv_lora_rank": 512}, "qk_rope_head_dim" + MISSING),
    "half a linear layer": ({"full_attention_interval": 4}, "linear_num_key_heads" + MISSING),
    "an encoder": (
        {"is_encoder_decoder": True},
        "is_encoder_decoder is true, and a plan can be made for decoders only: leave the plan out.",
    ),
    "params.json": (
        {"dim": 4096, "n_layers": 32},
        "This is Mistral's own params.json: give the config.json that stands beside it at the hub.",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_config_is_answered_with_a_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\.$") as raised:
        read(LLAMA | change)
    assert str(raised.value) == sentence


@pytest.mark.parametrize("config", [[], "text", 3, None])
def test_what_is_no_object_is_refused(config: Any) -> None:
    with pytest.raises(ValueError, match=r"one JSON object"):
        read(config)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["linear", "fp8", "awq", "modelopt", "re:.*(", "sliding_attention", "llama4", 0, 1, 8]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
SEEDS = [
    "meta-llama/Llama-3.1-8B-Instruct",
    "deepseek-ai/DeepSeek-V3",
    "google/gemma-3-4b-it",
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct",
    "Qwen/Qwen3-Next-80B-A3B-Instruct",
    "openai/gpt-oss-20b",
    "Qwen/Qwen2.5-VL-7B-Instruct",
    "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8",
]


def sections(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The config and every object in it."""
    yield config
    for value in config.values():
        if isinstance(value, dict):
            yield from sections(value)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_whatever_is_wrong_is_a_value_error(data: st.DataObject) -> None:
    """Any key of a real config.json, at any depth, takes any value or goes: a sentence or an architecture comes out."""
    config = copy.deepcopy(models.config(data.draw(st.sampled_from(SEEDS))))
    for _ in range(data.draw(st.integers(1, 3))):
        section = data.draw(st.sampled_from(list(sections(config))))
        if not section:
            continue
        key = data.draw(st.sampled_from(sorted(section)))
        if data.draw(st.booleans()):
            section[key] = data.draw(ANYTHING)
        else:
            del section[key]
    try:
        architecture = read(config)
    except ValueError as error:
        assert str(error).endswith(".")  # noqa: PT017
        assert len(str(error)) < 400  # noqa: PT017
    else:
        assert architecture.parameters.total > 0
        assert sum(group.layers for group in architecture.kv_groups) == architecture.layers
        assert all(caveat.endswith(".") for caveat in architecture.caveats)
