"""Small types that several parts of the spec share: references to objects of the namespace, and quantities."""

from typing import Annotated

from pydantic import Field, StrictInt

from llmfleet.api.base import ApiModel, Cel, Extension

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"

Quantity = Annotated[
    str | StrictInt,
    Extension((("x-kubernetes-int-or-string", True),)),
    Cel(
        "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",
        "must be a quantity above zero, such as 4, 500m or 16Gi",
    ),
]
"""A Kubernetes quantity: 4, 500m, 16Gi."""


class SecretKeyRef(ApiModel):
    """One key of a Secret in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=OBJECT_NAME)]
    """Name of the Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key inside the Secret."""


class SecretRef(ApiModel):
    """A Secret in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=OBJECT_NAME)]
    """Name of the Secret."""


class ConfigMapKeyRef(ApiModel):
    """One key of a ConfigMap in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=OBJECT_NAME)]
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[_a-zA-Z0-9][-._a-zA-Z0-9]*$")]
    """Key inside the ConfigMap."""
