"""A whole model of 108,000 random weights, written on the spot with the standard library alone.

`config.json`, weights and tokenizer are what any loader of Hugging Face models reads, so the real vLLM runs it as it
would run a Llama: nothing is downloaded, and the same seed gives the same bytes. It talks nonsense in ASCII and never
ends by itself: the rows of the output layer for other bytes and for the end of text are zero, and all others are far
from zero.
"""

import json
import random
import struct
from collections.abc import Iterable
from pathlib import Path

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, INTERMEDIATE = 64, 2, 2, 1, 32, 128
CONTEXT = 2048
"""Longest prompt and answer, tokens."""
BLOCK_BYTES_PER_TOKEN = 2 * LAYERS * KV_HEADS * HEAD_SIZE * 2
"""Bytes of KV cache for a token: keys and values of each layer, two bytes an element."""
SPECIAL = ("<|begin|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
_BYTES = 256
VOCABULARY = _BYTES + len(SPECIAL)
_SPEAKABLE = (*range(0x20, 0x7F), 0x0A)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write(folder: Path, *, seed: int = 0, **config: int) -> Path:
    """Write the model into a folder, which is made, and return the folder.

    Args:
        folder: where to.
        seed: of the weights.
        config: laid over its config.json; the weights then no longer fit, which only matters to who loads them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    documents = {
        "config.json": _config() | config,
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": _tokenizer_config(),
        "generation_config.json": {"bos_token_id": _BYTES, "eos_token_id": _BYTES + 1},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1))
    (folder / "model.safetensors").write_bytes(_weights(random.Random(seed)))  # noqa: S311 - not a secret
    return folder


def _config() -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_SIZE,
        "max_position_embeddings": CONTEXT, "vocab_size": VOCABULARY, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False,
        "bos_token_id": _BYTES, "eos_token_id": _BYTES + 1,
    }  # fmt: skip


def _tokenizer() -> dict[str, object]:
    """A token for each byte: byte-level BPE that was trained on nothing."""
    letters = {letter: number for number, letter in enumerate(_byte_letters())}
    special = [
        {"id": _BYTES + number, "content": text, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for number, text in enumerate(SPECIAL)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {
            "type": "BPE", "vocab": letters, "merges": [], "dropout": None, "unk_token": None,
            "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
        },
    }  # fmt: skip


def _byte_letters() -> list[str]:
    """The letter by which byte-level tokenizers write each byte: itself where it is printable, else one from 256 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(_BYTES, 2 * _BYTES))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(_BYTES)]


def _tokenizer_config() -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIAL[0], "eos_token": SPECIAL[1],
        "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False, "chat_template": CHAT_TEMPLATE,
    }  # fmt: skip


def _weights(dice: random.Random) -> bytes:
    """All tensors in the safetensors format: length of the header, header, raw little-endian bfloat16."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, shape in _shapes():
        begin = len(data)
        data += b"".join(_bfloat16(number) for number in _numbers(name, shape, dice))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(data)


def _shapes() -> Iterable[tuple[str, list[int]]]:
    queries, keys = HEADS * HEAD_SIZE, KV_HEADS * HEAD_SIZE
    yield "model.embed_tokens.weight", [VOCABULARY, HIDDEN]
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        yield f"{at}.input_layernorm.weight", [HIDDEN]
        yield f"{at}.post_attention_layernorm.weight", [HIDDEN]
        for part, rows in (("q", queries), ("k", keys), ("v", keys)):
            yield f"{at}.self_attn.{part}_proj.weight", [rows, HIDDEN]
        yield f"{at}.self_attn.o_proj.weight", [HIDDEN, queries]
        yield f"{at}.mlp.gate_proj.weight", [INTERMEDIATE, HIDDEN]
        yield f"{at}.mlp.up_proj.weight", [INTERMEDIATE, HIDDEN]
        yield f"{at}.mlp.down_proj.weight", [HIDDEN, INTERMEDIATE]
    yield "model.norm.weight", [HIDDEN]
    yield "lm_head.weight", [VOCABULARY, HIDDEN]


def _numbers(name: str, shape: list[int], dice: random.Random) -> Iterable[float]:
    if len(shape) == 1:
        return [1.0] * shape[0]
    if name != "lm_head.weight":
        return [dice.gauss(0.0, 0.1) for _ in range(shape[0] * shape[1])]
    rows = ([dice.gauss(0.0, 1.0) if row in _SPEAKABLE else 0.0 for _ in range(shape[1])] for row in range(shape[0]))
    return [number for row in rows for number in row]


def _bfloat16(number: float) -> bytes:
    """The upper half of a 32-bit float."""
    return struct.pack("<f", number)[2:]
