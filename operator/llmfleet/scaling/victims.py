"""Which replicas go when there should be fewer: the idlest. Pure.

A ReplicaSet removes pods that are not ready first and then those with the lowest pod-deletion-cost. So just before a
scale-down the pods that should go get negative costs, the idlest the lowest, and all others zero, which is also what a
pod without the annotation counts as: only pods that are to go, or once were and still stand, need a write.
"""

from collections.abc import Sequence
from math import inf

from llmfleet.scaling.fleet import Replica

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
"""Kubernetes' annotation: a whole number, default 0."""


def deletion_costs(replicas: Sequence[Replica], *, wanted: int) -> dict[str, int]:
    """The costs that have to change, by pod name, so that `wanted` replicas remain and the idlest go."""
    alive = sorted((replica for replica in replicas if not replica.terminating), key=_idleness)
    leaving = max(0, len(alive) - wanted)
    costs = {replica.name: min(0, place - leaving) for place, replica in enumerate(alive)}
    return {replica.name: costs[replica.name] for replica in alive if costs[replica.name] != replica.deletion_cost}


def _idleness(replica: Replica) -> tuple[bool, float, float, float, str]:
    """Sort key, the idlest first: not ready, least in flight, least KV cache, newest. Unknown is not idle."""
    signals = replica.signals
    known = signals.running is not None and signals.waiting is not None
    in_flight = (signals.running or 0.0) + (signals.waiting or 0.0) if known else inf
    kv = inf if signals.kv is None else signals.kv
    return replica.ready, in_flight, kv, -replica.created_at, replica.name
