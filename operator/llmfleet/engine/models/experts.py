"""Which layers of a model have experts, and how large they are. Part of `architecture.py`."""

from dataclasses import dataclass

from llmfleet.engine.models.config_json import Keys


@dataclass(frozen=True, kw_only=True)
class Experts:
    """The mixture of experts of a model."""

    count: int
    """Routed experts of a layer."""
    per_token: int
    """Routed experts that one token uses."""
    intermediate_size: int
    """Width of one routed expert."""
    shared_intermediate_size: int
    """Width of the shared experts of a layer together; 0: there are none."""
    shared_gate: bool
    """The shared expert has a gate of one row (Qwen)."""
    positions: tuple[int, ...]
    """Layers with experts, from 0; the others have a dense MLP."""

    @property
    def layers(self) -> int:
        """How many layers have experts."""
        return len(self.positions)


def experts(keys: Keys, *, count: int) -> Experts | None:
    """The experts, by the names that the families use; None in a dense model."""
    routed = keys.maybe_integer("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts", least=0)
    if not routed:
        return None
    per_token = keys.integer("num_experts_per_tok", "experts_per_token", "num_experts_per_token", "moe_topk")
    if per_token > routed:
        raise ValueError(
            f"num_experts_per_tok ({per_token}) is more than the {routed} experts that there are: correct one of them."
        )
    width = keys.integer("moe_intermediate_size", "intermediate_size")
    shared = keys.maybe_integer("shared_expert_intermediate_size", "shared_intermediate_size", least=0)
    shared_gate = keys.maybe_integer("shared_expert_intermediate_size", least=0) not in {None, 0}
    if shared is None:
        number = keys.maybe_integer("n_shared_experts", least=0) or int(keys.has("interleave_moe_layer_step"))
        shared = number * width
    return Experts(
        count=routed,
        per_token=per_token,
        intermediate_size=width,
        shared_intermediate_size=shared,
        shared_gate=shared_gate,
        positions=_positions(keys, count),
    )


def _positions(keys: Keys, count: int) -> tuple[int, ...]:
    if listed := keys.integers("moe_layers"):
        return tuple(i for i in range(count) if i in set(listed))
    dense_first = keys.integer("first_k_dense_replace", default=0, least=0)
    every = keys.integer("moe_layer_freq", "decoder_sparse_step", "interleave_moe_layer_step", default=1)
    dense = set(keys.integers("mlp_only_layers") or ())
    if keys.has("moe_layer_freq"):
        return tuple(i for i in range(dense_first, count) if i % every == 0)
    return tuple(i for i in range(dense_first, count) if (i + 1) % every == 0 and i not in dense)
