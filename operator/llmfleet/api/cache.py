"""spec.cache: where downloaded weights and compiled kernels live."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from llmfleet.api.base import ApiModel, Cel, rules
from llmfleet.api.references import OBJECT_NAME, Quantity


class AccessMode(StrEnum):
    """Who may mount a claim at the same time, by Kubernetes' names."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_ONCE_POD = "ReadWriteOncePod"
    READ_WRITE_MANY = "ReadWriteMany"


class CacheSpec(ApiModel):
    """Where downloaded weights and compiled kernels live.

    Compiled kernels are unpickled when they are read, so the volume must be private to this object.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!has(self.claimName) || !has(self.size)",
                "claimName and size exclude each other: a claim of yours, or one that is made",
            ),
            Cel(
                "!has(self.storageClassName) || has(self.size)",
                "storageClassName needs size: it is the class of the claim that is made",
            ),
            Cel(
                "!self.perReplica || (has(self.size) && self.accessMode != 'ReadWriteMany')",
                "perReplica needs size, and no accessMode ReadWriteMany: each replica gets a volume of its own",
            ),
        )
    )

    claim_name: Annotated[str, Field(min_length=1, max_length=253, pattern=OBJECT_NAME)] | None = None
    """A PersistentVolumeClaim of this namespace, used by nobody else."""
    size: Quantity | None = None
    """Size of a claim that is made for this object, such as 200Gi; it goes with the object."""
    storage_class_name: Annotated[str, Field(min_length=1, max_length=253, pattern=OBJECT_NAME)] | None = None
    """Storage class of that claim. Absent: the cluster's default."""
    access_mode: AccessMode = AccessMode.READ_WRITE_ONCE
    """Access mode of the claim, made or named. More than one replica needs ReadWriteMany, or perReplica."""
    per_replica: bool = False
    """Each replica gets a volume of its own, such as a disk of its node; it goes with the pod."""

    @property
    def is_made(self) -> bool:
        """Whether the operator makes the claim."""
        return self.size is not None and not self.per_replica

    @property
    def is_shared(self) -> bool:
        """Whether all replicas mount one claim, made or named."""
        return self.claim_name is not None or self.is_made
