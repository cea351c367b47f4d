"""The size of the vision part of a multimodal model. Part of `architecture.py`.

Its weights stand beside the language model's on the same GPU. One function a family, after its modelling code in
transformers; what is not known is estimated from the width and depth, and the architecture says so in its caveats.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from llmfleet.engine.models.config_json import Keys


def vision(root: Keys, *, hidden: int) -> tuple[int, str]:
    """Parameters of the vision tower and its projector, and a caveat (or empty)."""
    keys = root.section("vision_config")
    if keys is None:
        return 0, ""
    model_type = root.text("model_type") or ""
    counted = _FAMILIES.get(model_type)
    if counted:
        return counted(root, keys.with_defaults(_DEFAULTS.get(model_type, {})), hidden), ""
    width, depth = keys.integer("hidden_size", "embed_dim"), keys.integer("num_hidden_layers", "depth")
    inner = keys.integer("intermediate_size", default=4 * width)
    return depth * width * (4 * width + 3 * inner) + hidden * (width + hidden), (
        f"The size of the vision part of a {model_type[:60] or 'model of unknown type'} is estimated from its width "
        "and depth."
    )


_DEFAULTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "qwen2_5_vl": {
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 3584, "patch_size": 14,
            "temporal_patch_size": 2, "spatial_merge_size": 2,
        },
        "qwen2_vl": {
            "depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "patch_size": 14, "temporal_patch_size": 2,
            "spatial_merge_size": 2,
        },
    }
)  # fmt: skip
"""What a vision_config leaves out is what the family's class has."""


def _gemma3(_: Keys, keys: Keys, hidden: int) -> int:
    """SigLIP with biases and learnt positions; one matrix and a norm as projector."""
    width, inner = keys.integer("hidden_size"), keys.integer("intermediate_size")
    patch = keys.integer("patch_size")
    positions = (keys.integer("image_size") // patch) ** 2
    layer = 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width
    embeddings = 3 * patch**2 * width + width + positions * width
    return embeddings + keys.integer("num_hidden_layers") * layer + 2 * width + width * hidden + width


def _pixtral(root: Keys, keys: Keys, hidden: int) -> int:
    """A gated transformer without biases; patches are merged before two matrices."""
    width, inner = keys.integer("hidden_size"), keys.integer("intermediate_size")
    layer = 4 * width**2 + 3 * width * inner + 2 * width
    tower = 3 * keys.integer("patch_size") ** 2 * width + width + keys.integer("num_hidden_layers") * layer
    merger = width * width * root.integer("spatial_merge_size", default=1) ** 2
    return tower + merger + width + width * hidden + hidden**2


def _qwen2_5_vl(_: Keys, keys: Keys, hidden: int) -> int:
    """A gated transformer with biases; four patches are merged by an MLP."""
    width, inner = keys.integer("hidden_size"), keys.integer("intermediate_size")
    layer = 4 * width**2 + 4 * width + 3 * width * inner + 2 * inner + width + 2 * width
    patch = 3 * keys.integer("temporal_patch_size") * keys.integer("patch_size") ** 2 * width
    merged = width * keys.integer("spatial_merge_size") ** 2
    out = keys.integer("out_hidden_size", default=hidden)
    return patch + keys.integer("depth") * layer + width + merged * (merged + 1) + merged * out + out


def _qwen2_vl(_: Keys, keys: Keys, hidden: int) -> int:
    """A transformer with biases; four patches are merged by an MLP."""
    width = keys.integer("embed_dim")
    inner = width * keys.integer("mlp_ratio")
    layer = 4 * width**2 + 4 * width + 2 * width * inner + inner + width + 4 * width
    patch = 3 * keys.integer("temporal_patch_size") * keys.integer("patch_size") ** 2 * width
    merged = width * keys.integer("spatial_merge_size") ** 2
    return patch + keys.integer("depth") * layer + 2 * width + merged * (merged + 1) + merged * hidden + hidden


def _qwen3_vl(_: Keys, keys: Keys, hidden: int) -> int:
    """A transformer with biases and learnt positions; one merger at the end and one at each tapped layer."""
    width, inner = keys.integer("hidden_size"), keys.integer("intermediate_size")
    layer = 4 * width**2 + 4 * width + 2 * width * inner + inner + width + 4 * width
    patch = 3 * keys.integer("temporal_patch_size") * keys.integer("patch_size") ** 2 * width + width
    merged = width * keys.integer("spatial_merge_size") ** 2
    out = keys.integer("out_hidden_size", default=hidden)
    merger = merged * (merged + 1) + merged * out + out
    taps = len(keys.integers("deepstack_visual_indexes") or ())
    tower = patch + keys.integer("num_position_embeddings") * width + keys.integer("depth") * layer
    return tower + 2 * width + merger + taps * (2 * merged + merger)


def _llama4(_: Keys, keys: Keys, hidden: int) -> int:
    """A transformer with biases; a pixel shuffle, two matrices, and one matrix as projector."""
    width, inner = keys.integer("hidden_size"), keys.integer("intermediate_size")
    patch = keys.integer("patch_size")
    positions = (keys.integer("image_size") // patch) ** 2 + 1
    layer = 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width
    embeddings = 3 * patch**2 * width + width + positions * width + 4 * width
    into, out = keys.integer("projector_input_dim"), keys.integer("projector_output_dim")
    adapter = inner * into + into * out
    return embeddings + keys.integer("num_hidden_layers") * layer + adapter + keys.integer("vision_output_dim") * hidden


_FAMILIES: Mapping[str, Callable[[Keys, Keys, int], int]] = MappingProxyType(
    {
        "gemma3": _gemma3,
        "llama4": _llama4,
        "mistral3": _pixtral,
        "qwen2_5_vl": _qwen2_5_vl,
        "qwen2_vl": _qwen2_vl,
        "qwen3_vl": _qwen3_vl,
        "qwen3_vl_moe": _qwen3_vl,
    }
)
