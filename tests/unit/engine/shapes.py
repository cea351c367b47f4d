"""Sizes of well-known models as their config.json states them: what the tests of the memory plan are worked out for."""

from typing import Any

from llmfleet.engine.models.architecture import Architecture, read


def config(model_type: str, layers: int, hidden: int, mlp: int, **more: Any) -> dict[str, Any]:
    """A config.json; `heads` is attention heads, heads of keys and values, and the size of a head (0: not said)."""
    heads, kv_heads, size = more.pop("heads")
    vocabulary, context = more.pop("vocabulary"), more.pop("context")
    return {
        "model_type": model_type,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": context,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        **({"head_dim": size} if size else {}),
        **more,
    }


_GEMMA2 = {"vocabulary": 256000, "context": 8192, "tie_word_embeddings": True, "sliding_window": 4096}
_GRANITE = {"vocabulary": 49155, "context": 131072, "tie_word_embeddings": True}
_DEEPSEEK = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
_BLOCK_FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}

CONFIGS: dict[str, dict[str, Any]] = {
    "codellama-7b": config("llama", 32, 4096, 11008, heads=(32, 32, 0), vocabulary=32016, context=16384),
    "deepseek-v2-lite": config(
        "deepseek_v2", 27, 2048, 10944, heads=(16, 16, 0), vocabulary=102400, context=163840, **_DEEPSEEK,
        n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6, moe_intermediate_size=1408,
        first_k_dense_replace=1, moe_layer_freq=1,
    ),
    "deepseek-v3": config(
        "deepseek_v3", 61, 7168, 18432, heads=(128, 128, 0), vocabulary=129280, context=163840, **_DEEPSEEK,
        q_lora_rank=1536, n_routed_experts=256, n_shared_experts=1, num_experts_per_tok=8, moe_intermediate_size=2048,
        first_k_dense_replace=3, moe_layer_freq=1, quantization_config=_BLOCK_FP8,
    ),
    "gemma-2-2b": config("gemma2", 26, 2304, 9216, heads=(8, 4, 256), **_GEMMA2),
    "gemma-2-9b": config("gemma2", 42, 3584, 14336, heads=(16, 8, 256), **_GEMMA2),
    "gemma-2-27b": config("gemma2", 46, 4608, 36864, heads=(32, 16, 128), **_GEMMA2),
    "gemma-7b": config(
        "gemma", 28, 3072, 24576, heads=(16, 16, 256), vocabulary=256000, context=8192, tie_word_embeddings=True
    ),
    "granite-3.1-2b": config("granite", 40, 2048, 8192, heads=(32, 8, 0), **_GRANITE),
    "granite-3.1-8b": config("granite", 40, 4096, 12800, heads=(32, 8, 0), **_GRANITE),
    "llama-3-8b": config("llama", 32, 4096, 14336, heads=(32, 8, 0), vocabulary=128256, context=8192),
    "llama-3.1-8b": config("llama", 32, 4096, 14336, heads=(32, 8, 0), vocabulary=128256, context=131072),
    "llama-3.3-70b": config("llama", 80, 8192, 28672, heads=(64, 8, 0), vocabulary=128256, context=131072),
    "mixtral-8x7b": config(
        "mixtral", 32, 4096, 14336, heads=(32, 8, 0), vocabulary=32000, context=32768, num_local_experts=8,
        num_experts_per_tok=2,
    ),
    "phi-4": config("phi3", 40, 5120, 17920, heads=(40, 10, 0), vocabulary=100352, context=16384),
    "qwen1.5-moe": config(
        "qwen2_moe", 24, 2048, 5632, heads=(16, 16, 0), vocabulary=151936, context=8192, num_experts=60,
        num_experts_per_tok=4, moe_intermediate_size=1408, shared_expert_intermediate_size=5632, decoder_sparse_step=1,
    ),
    "qwen2.5-7b": config("qwen2", 28, 3584, 18944, heads=(28, 4, 0), vocabulary=152064, context=32768),
    "qwen2.5-72b": config("qwen2", 80, 8192, 29568, heads=(64, 8, 0), vocabulary=152064, context=32768),
    "qwen3-0.6b": config(
        "qwen3", 28, 1024, 3072, heads=(16, 8, 128), vocabulary=151936, context=40960, tie_word_embeddings=True
    ),
    "qwen3-8b": config("qwen3", 36, 4096, 12288, heads=(32, 8, 128), vocabulary=151936, context=40960),
    "qwen3-32b": config("qwen3", 64, 5120, 25600, heads=(64, 8, 128), vocabulary=151936, context=40960),
    "qwen3-30b-a3b": config(
        "qwen3_moe", 48, 2048, 6144, heads=(32, 4, 128), vocabulary=151936, context=40960, num_experts=128,
        num_experts_per_tok=8, moe_intermediate_size=768, decoder_sparse_step=1, mlp_only_layers=[],
    ),
}  # fmt: skip


def shape(name: str) -> Architecture:
    """One of them."""
    return read(CONFIGS[name])
