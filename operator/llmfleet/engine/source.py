"""Where the model's files come from: `hf://ORG/NAME` or `pvc://CLAIM/PATH`, taken apart."""

import re
from dataclasses import dataclass

from llmfleet.api.v1alpha1 import COMMIT, HF_SOURCE, PVC_SOURCE, ModelSpec

MODEL_MOUNT = "/model"
"""Where the whole claim of a pvc:// source is mounted: the links inside a Hugging Face cache lead out of the model's
own directory, so mounting that directory alone would break them."""


@dataclass(frozen=True)
class HubModel:
    """A model of the Hugging Face hub."""

    repository: str
    """ORG/NAME."""

    @property
    def argument(self) -> str:
        """The MODEL argument of `vllm serve`."""
        return self.repository


@dataclass(frozen=True)
class ClaimModel:
    """A directory on a PersistentVolumeClaim of the same namespace."""

    claim: str
    path: str
    """Inside the claim; empty for its root."""

    @property
    def argument(self) -> str:
        """The MODEL argument of `vllm serve`."""
        return f"{MODEL_MOUNT}/{self.path}".rstrip("/")


def parse(source: str) -> HubModel | ClaimModel:
    """Take a source apart.

    Raises:
        ValueError: neither form; the API server refuses such a source, so only an object stored before its present
            rules can hold one.
    """
    if re.fullmatch(HF_SOURCE, source):
        return HubModel(source.removeprefix("hf://"))
    if re.fullmatch(PVC_SOURCE, source):
        claim, _, path = source.removeprefix("pvc://").partition("/")
        return ClaimModel(claim, path)
    raise ValueError(f"spec.model.source {source!r} is neither hf://ORG/NAME nor pvc://CLAIM/PATH")


def is_pinned(model: ModelSpec) -> bool:
    """Whether nobody can exchange the model's code unnoticed: a full commit, or files of this namespace's own claim."""
    return model.source.startswith("pvc://") or re.fullmatch(COMMIT, model.revision or "") is not None
