"""The PersistentVolumeClaim of a cache that is made for the object: weights and compiled kernels outlive the pods."""

from typing import Any

from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.manifests.names import CACHE_SIZE, cache_claim, metadata
from llmfleet.manifests.volumes import claim_spec


def render(deployment: LLMDeployment) -> dict[str, Any] | None:
    """The claim of the object; None where it wants none, or names its own."""
    cache, meta = deployment.spec.cache, metadata(deployment)
    if not cache.is_made:
        return None
    # The API server writes 1024Gi as 1Ti: the annotation has the size as it was asked for, to be compared.
    own = {"name": cache_claim(deployment.metadata.name), "annotations": {CACHE_SIZE: str(cache.size)}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta | own, "spec": claim_spec(cache)}
