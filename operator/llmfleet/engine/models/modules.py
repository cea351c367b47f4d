"""Which layers of a checkpoint its quantization leaves out, as shares of the parts. Used by `quantization.py`.

Writers name exceptions as module names, as globs, or as regular expressions that begin with "re:". Only what such lists
use is understood (names, `.*`, `*` and the end of a name): a regular expression of a stranger is not run.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PREFIXES = ("model.language_model.", "language_model.model.", "language_model.", "model.")
_BEYOND = frozenset("[](){}|?+^$\\*:")
"""Signs of a pattern; what is left of them when a pattern is read is not understood."""
_PATTERNS_LIMIT = 100
"""More patterns (not names) are not read; checkpoints have a handful."""

_ONE_LAYER = re.compile(r"layers(\.|\\\.)\d")

_ATTENTION = ("self_attn.q_proj", "self_attn.o_proj")
_SPELLINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "attention": tuple((name, "self_attn.qkv_proj") for name in _ATTENTION),
    "key_value": (("self_attn.k_proj", "self_attn.qkv_proj"), ("self_attn.v_proj", "self_attn.qkv_proj")),
    "latent": (("self_attn.q_a_proj",), ("self_attn.kv_a_proj_with_mqa",)),
    "dense_mlp": tuple((f"mlp.{name}", f"feed_forward.{name}") for name in ("gate_proj", "up_proj", "down_proj")),
    "routed_experts": (
        (
            "mlp.experts.0.gate_proj",
            "mlp.experts.gate_up_proj",
            "feed_forward.experts.gate_up_proj",
            "block_sparse_moe.experts.0.w1",
        ),
        (
            "mlp.experts.0.down_proj",
            "mlp.experts.down_proj",
            "feed_forward.experts.down_proj",
            "block_sparse_moe.experts.0.w2",
        ),
    ),
    "shared_experts": (
        ("mlp.shared_experts.gate_proj", "mlp.shared_expert.gate_proj", "feed_forward.shared_expert.gate_proj"),
        ("mlp.shared_experts.down_proj", "mlp.shared_expert.down_proj", "feed_forward.shared_expert.down_proj"),
    ),
}
"""For each part its modules within a layer; each in the spellings of the families."""
_VISION = ("visual", "vision_tower", "vision_model", "vision_encoder")
_VISION_MODULES = tuple(f"{name}.blocks.0.attn" for name in _VISION)


@dataclass(frozen=True)
class _Pattern:
    """Pieces that must stand in a name in this order."""

    pieces: tuple[str, ...]
    anchored: bool
    """The last piece ends the name."""

    def matches(self, name: str) -> bool:
        start = 0
        for piece in self.pieces:
            found = name.find(piece, start)
            if found < 0:
                return False
            start = found + len(piece)
        return not self.anchored or name.endswith(self.pieces[-1])


@dataclass(frozen=True)
class Ignored:
    """The exceptions of a checkpoint."""

    names: frozenset[str]
    """Names of modules; everything in them is an exception too."""
    patterns: tuple[_Pattern, ...]
    unread: tuple[str, ...]
    """Exceptions in a form that is not understood."""
    by_layer: bool
    """Some exceptions are of single layers, so that layers differ."""

    @classmethod
    def of(cls, written: Sequence[str]) -> "Ignored":
        """Exceptions as config.json lists them."""
        names = frozenset(_without_prefix(text) for text in written if not _BEYOND & set(text))
        others = [text for text in dict.fromkeys(written) if _BEYOND & set(text)]
        read = [(_pattern(text), text) for text in others[:_PATTERNS_LIMIT]]
        return cls(
            names=names,
            patterns=tuple(pattern for pattern, _ in read if pattern),
            unread=(*(text for pattern, text in read if pattern is None), *others[_PATTERNS_LIMIT:]),
            by_layer=any(_ONE_LAYER.search(text) for text in written),
        )

    def has(self, *names: str) -> bool:
        """One of the spellings of a module is an exception."""
        return any(
            not self.names.isdisjoint(_parts(name)) or any(pattern.matches(name) for pattern in self.patterns)
            for name in names
        )


def _parts(name: str) -> list[str]:
    """Every run of whole components of a dotted name."""
    words = name.split(".")
    return [".".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]


def _without_prefix(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _pattern(text: str) -> _Pattern | None:
    body = text.removeprefix("re:")
    if body != text:
        anchored = body.endswith("$")
        body = body.removeprefix("^").removesuffix("$").replace("\\.", ".").replace("\\d+", "*").replace(".*", "*")
    else:
        anchored = not body.endswith("*")
    pieces = tuple(piece for piece in _without_prefix(body).split("*") if piece)
    if not pieces or any(_BEYOND & set(piece) for piece in pieces):
        return None
    return _Pattern(pieces, anchored=anchored)


def quantized_shares(ignored: Ignored, *, layers: int, experts_only: bool) -> dict[str, float]:
    """For each part of the model that is quantized, the share of its modules that is."""
    looked_at = layers if ignored.by_layer else 1
    shares: dict[str, float] = {}
    for part, modules in _SPELLINGS.items():
        if experts_only and part != "routed_experts":
            continue
        kept = sum(
            ignored.has(*(f"layers.{layer}.{spelling}" for spelling in spellings))
            for layer in range(looked_at)
            for spellings in modules
        )
        shares[part] = 1 - kept / (looked_at * len(modules))
    if not experts_only and not ignored.has(*_VISION_MODULES):
        shares["vision"] = 1.0
    return {part: share for part, share in shares.items() if share}
