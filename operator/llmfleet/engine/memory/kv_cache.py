"""The KV cache as vLLM lays it out: blocks of bytes, groups of layers, tokens and sequences that fit. Pure.

A model's layers are of a few kinds (full attention, sliding window, recurrent state). Layers of one kind form one
group; several kinds are cut into groups of equal size, and a request takes blocks from every group. Source: vLLM 0.33.0
`v1/core/kv_cache_planning.py` and `v1/kv_cache_interface.py`, which are alike in these rules back to 0.11.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

BLOCK = 16
"""Tokens in a block, where the attention backend does not enlarge it."""
MOST_PADDING = 1.5
"""Below this ratio of the most layers of a kind to the fewest, vLLM pads all kinds to the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind:
    """Layers of one kind, on one rank of tensor parallelism."""

    layers: int
    """In the whole model."""
    token_bytes: int = 0
    """Of one token in one layer; 0 for layers that keep a state of fixed size."""
    window: int | None = None
    """Tokens that a sliding-window or chunked layer keeps; None: all."""
    state_bytes: int = 0
    """Of one request in one layer with recurrent state (Mamba, linear attention)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Layers that share a block table."""

    layers: int
    block_tokens: int
    window: int | None = None
    states: int = 0
    """Blocks that one request takes whatever its length; 0 for attention."""

    def blocks(self, tokens: int, *, in_flight: int) -> int:
        """Blocks that a request of that many tokens needs at most."""
        if self.states:
            return self.states
        if self.window is None:
            return ceil(tokens / self.block_tokens)
        held = min(self.window - 1 + in_flight, tokens)
        return ceil(held / self.block_tokens) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the KV cache of one pipeline stage is laid out."""

    block_bytes: int
    """Of one block in the pool that all groups share."""
    groups: tuple[Group, ...]
    in_flight: int
    """Tokens that may be scheduled and not yet settled; window layers hold them too."""

    def request_blocks(self, tokens: int) -> int:
        """Blocks that one request of that many tokens needs."""
        return sum(group.blocks(tokens, in_flight=self.in_flight) for group in self.groups)

    def request_bytes(self, tokens: int) -> int:
        """Bytes that one request of that many tokens needs, with the one block that vLLM keeps back."""
        return (self.request_blocks(tokens) + 1) * self.block_bytes

    def concurrency(self, available: float, tokens: int) -> float:
        """Requests of that many tokens that fit at a time, as vLLM prints it; 0 where nothing fits."""
        blocks = int(available // self.block_bytes)
        return blocks / self.request_blocks(tokens) if blocks > 0 else 0.0

    def longest(self, available: float, most: int) -> int:
        """Tokens of the longest request that fits, at most `most`; 0 where not even one token does."""
        return _largest(lambda tokens: self.request_bytes(tokens) <= available, most)


def lay_out(
    kinds: Sequence[LayerKind], *, in_flight: int, block: int = BLOCK, share: float = 1.0, states: int = 1
) -> Layout:
    """Group the layers.

    Args:
        kinds: the model's layers, on one rank of tensor parallelism.
        in_flight: tokens that may be scheduled and not yet settled.
        block: tokens in a block of the largest attention layer.
        share: part of the layers that the pipeline stage has, above 0 and at most 1.
        states: pages of a recurrent layer for each request (2 with prefix caching).
    """
    present = [kind for kind in kinds if kind.layers]
    if len({kind.window for kind in present}) <= 1 and not any(kind.state_bytes for kind in present):
        return _one_group(present, in_flight=in_flight, block=block, share=share)
    block, page = _page(present, block)
    size = _group_size([kind.layers for kind in present])
    groups = [
        Group(
            layers=size,
            block_tokens=_block_tokens(kind, block=block, page=page),
            window=kind.window,
            states=states if kind.state_bytes else 0,
        )
        for kind in present
        for _ in range(ceil(kind.layers / size))
    ]
    return Layout(block_bytes=page * ceil(size * share), groups=tuple(groups), in_flight=in_flight)


def token_bytes(kinds: Sequence[LayerKind]) -> int:
    """Bytes of one token in all attention layers of a rank, window layers included."""
    return sum(kind.layers * kind.token_bytes for kind in kinds)


def _one_group(kinds: Sequence[LayerKind], *, in_flight: int, block: int, share: float) -> Layout:
    """All layers hold the same tokens, so one block table serves them, whatever their widths."""
    layers = sum(kind.layers for kind in kinds)
    window = kinds[0].window if kinds else None
    of_stage = sum(ceil(kind.layers * share) * kind.token_bytes for kind in kinds)
    group = Group(layers=layers, block_tokens=block, window=window)
    return Layout(block_bytes=of_stage * block, groups=(group,), in_flight=in_flight)


def _page(kinds: Sequence[LayerKind], block: int) -> tuple[int, int]:
    """Tokens of a block and bytes of a layer's page: the largest page decides, states enlarge the block to hold one."""
    widest = max(kind.token_bytes for kind in kinds)
    state = max(kind.state_bytes for kind in kinds)
    if state > widest * block:
        block *= ceil(state / (widest * block))
    return block, max(widest * block, state)


def _block_tokens(kind: LayerKind, *, block: int, page: int) -> int:
    """Tokens of this kind that fill a page; a page that is no multiple of the kind's own is padded."""
    if not kind.token_bytes:
        return block
    own = kind.token_bytes * block
    return block * (page // own) if page % own == 0 else block


def _group_size(counts: Sequence[int]) -> int:
    """Layers of each group: the fewest of a kind, or the most where that pads less."""
    fewest, most = min(counts), max(counts)
    return most if most < fewest * MOST_PADDING else fewest


def _largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` that fits, when every smaller one fits too."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
