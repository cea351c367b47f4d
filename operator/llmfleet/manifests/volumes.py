"""What the engine may write to, and what it reads from volumes. Each volume stands beside its mount.

/dev/shm: with several GPUs the processes talk through shared memory (0.16 + 0.24 x workers GiB of queues in vLLM
0.33, and NCCL's segments), and the container runtime's 64 MiB end in a bus error. On a CPU even a single worker is a
process of its own (seen on 0.32.0: "Insufficient space in /dev/shm", 160 MiB required). The memory counts against the
container's memory limit.
"""

from typing import Any

from llmfleet.api.cache import CacheSpec
from llmfleet.api.engine import LoraSpec
from llmfleet.api.references import ConfigMapKeyRef
from llmfleet.api.settings import GpuProfile
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine import source
from llmfleet.engine.flags import CHAT_TEMPLATE_MOUNT
from llmfleet.manifests.environment import CACHE_MOUNT
from llmfleet.manifests.names import cache_claim

Pair = tuple[dict[str, Any], dict[str, Any]]
"""A volume and its mount."""


def pairs(deployment: LLMDeployment, profile: GpuProfile) -> list[Pair]:
    """Every volume of the pod with its mount in the engine's container."""
    spec = deployment.spec
    return [
        _cache(spec.cache, deployment.metadata.name),
        ({"name": "tmp", "emptyDir": {}}, {"name": "tmp", "mountPath": "/tmp"}),  # noqa: S108 - sockets, generated code
        *_shared_memory(spec.gpu.count, on_cpu=not profile.resource_name),
        *_model(spec.model.source),
        *_adapters(spec.engine.lora),
        *_chat_template(spec.engine.chat_template),
    ]


def claim_spec(cache: CacheSpec) -> dict[str, Any]:
    """The `spec` of the claim that is made for a cache."""
    size = {"resources": {"requests": {"storage": str(cache.size)}}}
    storage_class = {"storageClassName": cache.storage_class_name} if cache.storage_class_name else {}
    return {"accessModes": [cache.access_mode.value]} | size | storage_class


def _cache(cache: CacheSpec, name: str) -> Pair:
    """A claim where one is wanted, a volume of each replica's own, or else the node's disk while the pod lives."""
    volume: dict[str, Any] = {"emptyDir": {}}
    if cache.per_replica:
        volume = {"ephemeral": {"volumeClaimTemplate": {"spec": claim_spec(cache)}}}
    elif cache.is_shared:
        volume = {"persistentVolumeClaim": {"claimName": cache.claim_name or cache_claim(name)}}
    return {"name": "cache"} | volume, {"name": "cache", "mountPath": CACHE_MOUNT}


def _shared_memory(gpus: int, *, on_cpu: bool) -> list[Pair]:
    if gpus == 1 and not on_cpu:
        return []
    return [
        (
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{gpus}Gi"}},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the pod's own
        )
    ]


def _model(model_source: str) -> list[Pair]:
    """The claim or the image, read-only: replicas share it, and one must not change what another loads."""
    model = source.parse(model_source)
    mount = {"name": "model", "mountPath": source.MODEL_MOUNT, "readOnly": True}
    if isinstance(model, source.ClaimModel):
        return [({"name": "model", "persistentVolumeClaim": {"claimName": model.claim, "readOnly": True}}, mount)]
    if isinstance(model, source.ImageModel):
        return [({"name": "model", "image": {"reference": model.reference, "pullPolicy": "IfNotPresent"}}, mount)]
    return []


def _adapters(lora: LoraSpec | None) -> list[Pair]:
    """Each claim once, whatever number of adapters it holds; read-only."""
    models = [source.parse(adapter.source) for adapter in lora.adapters] if lora else []
    claims = sorted({model.claim for model in models if isinstance(model, source.ClaimModel)})
    return [
        (
            {"name": f"adapters-{index}", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}},
            {"name": f"adapters-{index}", "mountPath": f"{source.ADAPTER_MOUNT}/{claim}", "readOnly": True},
        )
        for index, claim in enumerate(claims)
    ]


def _chat_template(reference: ConfigMapKeyRef | None) -> list[Pair]:
    if reference is None:
        return []
    items = [{"key": reference.key, "path": reference.key}]
    return [
        (
            {"name": "chat-template", "configMap": {"name": reference.name, "items": items}},
            {"name": "chat-template", "mountPath": CHAT_TEMPLATE_MOUNT, "readOnly": True},
        )
    ]
