"""spec.access.networkPolicy: who may connect to the engines, in the words of Kubernetes' own NetworkPolicy."""

from typing import Annotated

from pydantic import ConfigDict, Field

from llmfleet.api.base import ATOMIC, ApiModel, Cel, rules

LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
METADATA_NAME = "kubernetes.io/metadata.name"
"""Label with its own name that each namespace has."""


Labels = dict[str, Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]]


class LabelSelector(ApiModel):
    """Everything that has all of these labels; without any, everything."""

    match_labels: Annotated[Labels, Field(max_length=16)] | None = None
    """Label -> value. Absent: everything."""


class IPBlock(ApiModel):
    """Addresses outside of the cluster."""

    cidr: Annotated[str, Field(max_length=49), Cel("isCIDR(self)", "must be a network, such as 10.0.0.0/8")]
    """The network."""


class NetworkPeer(ApiModel):
    """Pods (of this namespace, or of those that namespaceSelector finds), or addresses."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "has(self.ipBlock) != (has(self.namespaceSelector) || has(self.podSelector))",
                "must have either ipBlock, or namespaceSelector, podSelector or both; {podSelector: {}} is every pod "
                "of this namespace",
            )
        )
    )

    namespace_selector: LabelSelector | None = None
    """Namespaces. Absent: this one."""
    pod_selector: LabelSelector | None = None
    """Pods in them. Absent: all."""
    ip_block: IPBlock | None = None
    """Addresses."""


class NetworkPolicySpec(ApiModel):
    """A NetworkPolicy that lets to the engines' port the operator, what the operator's settings name, and these peers.

    It takes a network plugin that enforces policies.
    """

    from_: Annotated[tuple[NetworkPeer, ...], Field(alias="from", max_length=32), ATOMIC] = ()
    """Who else may connect. Empty: nobody else."""
