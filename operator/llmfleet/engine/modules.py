"""Which layers of a checkpoint its quantization leaves out, as shares of the parts. Used by `quantization.py`.

Writers name exceptions as module names, as globs, or as regular expressions that begin with "re:". Only what such lists
use is understood (names, `.*`, `*` and the end of a name): a regular expression of a stranger is not run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_PREFIXES = ("model.language_model.", "language_model.model.", "language_model.", "model.")
_BEYOND = frozenset("[](){}|?+^$\\*")
"""Signs that would be left in a pattern that is not understood."""

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
    whole: bool
    """The pieces are whole components of a dotted name."""
    anchored: bool
    """The last piece ends the name."""

    def matches(self, name: str) -> bool:
        if self.whole:
            return f".{self.pieces[0]}." in f".{name}."
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

    patterns: tuple[_Pattern, ...]
    unread: tuple[str, ...]
    """Exceptions in a form that is not understood."""

    @classmethod
    def of(cls, written: Sequence[str]) -> "Ignored":
        """Exceptions as config.json lists them."""
        read = [(_pattern(text), text) for text in written]
        return cls(
            patterns=tuple(pattern for pattern, _ in read if pattern),
            unread=tuple(text for pattern, text in read if pattern is None),
        )

    def has(self, *names: str) -> bool:
        """One of the spellings of a module is an exception."""
        return any(pattern.matches(name) for pattern in self.patterns for name in names)


def _pattern(text: str) -> _Pattern | None:
    body = text.removeprefix("re:")
    regular = body != text
    if regular:
        anchored = body.endswith("$")
        body = body.removeprefix("^").removesuffix("$").replace("\\.", ".").replace("\\d+", "*").replace(".*", "*")
    else:
        anchored = "*" in body and not body.endswith("*")
    for prefix in _PREFIXES:
        body = body.removeprefix(prefix)
    pieces = tuple(piece for piece in body.split("*") if piece)
    if not pieces or any(_BEYOND & set(piece) for piece in pieces):
        return None
    return _Pattern(pieces, whole=not regular and "*" not in body, anchored=anchored)


def quantized_shares(ignored: Ignored, *, layers: int, experts_only: bool) -> dict[str, float]:
    """For each part of the model that is quantized, the share of its modules that is."""
    shares: dict[str, float] = {}
    for part, modules in _SPELLINGS.items():
        if experts_only and part != "routed_experts":
            continue
        kept = sum(
            ignored.has(*(f"layers.{layer}.{spelling}" for spelling in spellings))
            for layer in range(layers)
            for spellings in modules
        )
        shares[part] = 1 - kept / (layers * len(modules))
    if not experts_only and not ignored.has(*_VISION_MODULES):
        shares["vision"] = 1.0
    return {part: share for part, share in shares.items() if share}
