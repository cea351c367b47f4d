"""spec.model: which model is served, and where its files come from."""

from typing import Annotated

from pydantic import ConfigDict, Field

from llmfleet.api.base import SET, ApiModel, Cel, rules
from llmfleet.api.references import SecretKeyRef, SecretRef

HF_SOURCE = "^(hf://)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"
PVC_SOURCE = "^pvc://[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
S3_SOURCE = "^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_][A-Za-z0-9._=+-]*)+/?$"
OCI_SOURCE = "^oci://[a-z0-9][A-Za-z0-9._:/@-]*(#[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*)?$"
COMMIT = "^[0-9a-f]{40}$"
DIGEST = "@sha256:[0-9a-f]{64}(#.*)?$"


class S3Spec(ApiModel):
    """How a bucket is reached. Weights are streamed from it into the GPU, without a copy on disk."""

    credentials_secret_ref: SecretRef | None = None
    """Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and perhaps AWS_SESSION_TOKEN; given to the
    engine by environment, never read by the operator. Absent: what the node or the public bucket gives."""
    endpoint: (
        Annotated[str, Field(min_length=1, max_length=253, pattern=r"^https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?/?$")]
        | None
    ) = None
    """URL of an S3-compatible store, such as https://minio.storage.svc:9000. Absent: AWS."""
    region: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*$")] | None = None
    """Region of the bucket."""


class ModelSpec(ApiModel):
    """Which model is served, and where its files come from."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                f"!self.trustRemoteCode || self.source.startsWith('pvc://') || self.source.matches('{DIGEST}') || "
                f"(!self.source.startsWith('s3://') && has(self.revision) && self.revision.matches('{COMMIT}'))",
                "trustRemoteCode runs code of the model repository: pin it, set revision to a full 40-character commit "
                "(of an oci:// source, the digest of the image); a bucket cannot be pinned, copy the model to a claim",
            ),
            Cel(
                f"!has(self.revision) || self.source.matches('{HF_SOURCE}')",
                "revision has a meaning for a hf:// source only: remove it, or put the revision into the path",
            ),
            Cel(
                f"!has(self.tokenSecretRef) || self.source.matches('{HF_SOURCE}')",
                "tokenSecretRef has a meaning for a hf:// source only: remove it",
            ),
            Cel(
                "!has(self.s3) || self.source.startsWith('s3://')",
                "s3 has a meaning for a s3:// source only: remove it",
            ),
        )
    )

    source: Annotated[
        str,
        Field(min_length=3, max_length=512),
        Cel(
            f"self.matches('{HF_SOURCE}') || self.matches('{PVC_SOURCE}') || "
            f"self.matches('{S3_SOURCE}') || self.matches('{OCI_SOURCE}')",
            "must be hf://ORG/NAME (or ORG/NAME) for a model of the Hugging Face hub, "
            "pvc://CLAIM/PATH for a directory on a PersistentVolumeClaim of this namespace, "
            "s3://BUCKET/PATH for a bucket, or oci://IMAGE#PATH for a directory of an OCI image",
        ),
    ]
    """hf://ORG/NAME (a bare ORG/NAME means the same), pvc://CLAIM/PATH, s3://BUCKET/PATH (streamed by vLLM), or
    oci://IMAGE#PATH (an image volume; without #PATH the image's root)."""
    revision: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")] | None = (
        None
    )
    """Branch, tag or commit of a hub model. Absent: the repository's main branch."""
    architecture: Annotated[str, Field(min_length=3, max_length=193, pattern=HF_SOURCE)] | None = None
    """A well-known model of the same shape, as ORG/NAME, for the memory plan of a model that is not well known itself,
    such as a fine-tuned one. `llmfleet plan --models` lists them."""
    served_names: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$")], ...],
        Field(max_length=8),
        SET,
    ] = ()
    """Names under which requests may ask for the model; the first labels the metrics. Empty: the object's name."""
    token_secret_ref: SecretKeyRef | None = None
    """Hugging Face token for gated models; given to the engine as HF_TOKEN, never read by the operator."""
    s3: S3Spec | None = None
    """How the bucket of an s3:// source is reached."""
    trust_remote_code: bool = False
    """Run Python code that the model repository brings along. Needs a revision pinned to a commit."""
