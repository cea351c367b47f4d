"""Where the model's files come from, taken apart: the hub, a claim, a bucket, or an OCI image."""

import re
from dataclasses import dataclass

from llmfleet.api.model import COMMIT, DIGEST, HF_SOURCE, OCI_SOURCE, PVC_SOURCE, S3_SOURCE, ModelSpec

MODEL_MOUNT = "/model"
"""Where the whole claim or image of the model is mounted: the links inside a Hugging Face cache lead out of the model's
own directory, so mounting that directory alone would break them."""
ADAPTER_MOUNT = "/adapters"
"""Where each claim with LoRA adapters is mounted, under its own name."""


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


@dataclass(frozen=True)
class BucketModel:
    """A prefix in an S3 bucket; vLLM fetches configuration and tokenizer, and streams the weights."""

    url: str
    """s3://BUCKET/PATH."""

    @property
    def argument(self) -> str:
        """The MODEL argument of `vllm serve`."""
        return self.url


@dataclass(frozen=True)
class ImageModel:
    """A directory of an OCI image, mounted as a volume."""

    reference: str
    """The image."""
    path: str
    """Inside the image; empty for its root."""

    @property
    def argument(self) -> str:
        """The MODEL argument of `vllm serve`."""
        return f"{MODEL_MOUNT}/{self.path}".rstrip("/")


Model = HubModel | ClaimModel | BucketModel | ImageModel


def parse(source: str) -> Model:
    """Take a source apart.

    Raises:
        ValueError: none of the forms; the API server refuses such a source, so only an object stored before its present
            rules can hold one.
    """
    if re.fullmatch(HF_SOURCE, source):
        return HubModel(source.removeprefix("hf://"))
    if re.fullmatch(PVC_SOURCE, source):
        claim, _, path = source.removeprefix("pvc://").partition("/")
        return ClaimModel(claim, path)
    if re.fullmatch(S3_SOURCE, source):
        return BucketModel(source.rstrip("/"))
    if re.fullmatch(OCI_SOURCE, source):
        reference, _, path = source.removeprefix("oci://").partition("#")
        return ImageModel(reference, path)
    raise ValueError(
        f"spec.model.source {source!r} is none of hf://ORG/NAME, pvc://CLAIM/PATH, s3://BUCKET/PATH and "
        "oci://IMAGE#PATH"
    )


def adapter_path(source: str) -> str:
    """Where vLLM finds a LoRA adapter: the name of a hub repository, or a directory of its claim's mount."""
    model = parse(source)
    if isinstance(model, ClaimModel):
        return f"{ADAPTER_MOUNT}/{model.claim}/{model.path}".rstrip("/")
    return model.argument


def is_pinned(model: ModelSpec) -> bool:
    """Whether nobody can exchange the model's code unnoticed.

    A full commit, an image by its digest, or files of this namespace's own claim.
    """
    parsed = parse(model.source)
    if isinstance(parsed, HubModel):
        return re.fullmatch(COMMIT, model.revision or "") is not None
    if isinstance(parsed, ImageModel):
        return re.search(DIGEST, parsed.reference) is not None
    return isinstance(parsed, ClaimModel)
