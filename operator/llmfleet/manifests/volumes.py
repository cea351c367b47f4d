"""What the engine may write to, and the model where it lies on a claim. Each volume stands beside its mount.

/dev/shm: with tensor parallelism the processes talk through shared memory (0.16 + 0.24 x workers GiB of queues in vLLM
0.33, and NCCL's segments), and the container runtime's 64 MiB end in a bus error. The memory counts against the
container's memory limit.
"""

from typing import Any

from llmfleet.api.v1alpha1 import LLMDeploymentSpec
from llmfleet.engine import source
from llmfleet.manifests.environment import CACHE_MOUNT

Pair = tuple[dict[str, Any], dict[str, Any]]
"""A volume and its mount."""


def pairs(spec: LLMDeploymentSpec) -> list[Pair]:
    """Every volume of the pod with its mount in the engine's container."""
    return [*_scratch(), *_shared_memory(spec.gpu.tensor_parallel_size), *_model(spec.model.source)]


def _scratch() -> list[Pair]:
    """Caches, and /tmp for sockets and generated code."""
    return [
        ({"name": "cache", "emptyDir": {}}, {"name": "cache", "mountPath": CACHE_MOUNT}),
        ({"name": "tmp", "emptyDir": {}}, {"name": "tmp", "mountPath": "/tmp"}),  # noqa: S108 - the pod's own
    ]


def _shared_memory(tensor_parallel_size: int) -> list[Pair]:
    if tensor_parallel_size == 1:
        return []
    size = f"{tensor_parallel_size}Gi"
    return [
        (
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the pod's own
        )
    ]


def _model(model_source: str) -> list[Pair]:
    """The claim, read-only: replicas share it, and one must not change what another loads."""
    model = source.parse(model_source)
    if not isinstance(model, source.ClaimModel):
        return []
    return [
        (
            {"name": "model", "persistentVolumeClaim": {"claimName": model.claim, "readOnly": True}},
            {"name": "model", "mountPath": source.MODEL_MOUNT, "readOnly": True},
        )
    ]
