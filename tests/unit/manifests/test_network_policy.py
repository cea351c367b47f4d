"""Who gets to the engines through a NetworkPolicy, worked out from what is rendered as Kubernetes defines it.

No cluster of the tests enforces policies, so the definition (a policy allows what one of its rules allows; a peer is
addresses, or pods of the namespaces it selects) is followed here.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import PORT, LLMDeployment
from llmfleet.manifests import network_policy

HOME = "team-a"
SETTINGS = Settings.parse({"network": {"operatorNamespace": "llmfleet", "monitoringNamespaces": ["monitoring"]}})


@dataclass(frozen=True)
class Source:
    """Who connects: a pod, or something outside of the cluster."""

    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    address: str = ""


OPERATOR = Source("llmfleet", {"app.kubernetes.io/name": "llmfleet-operator"})
PROMETHEUS = Source("monitoring", {"app": "prometheus"})
NEIGHBOUR = Source(HOME, {"app": "web"})
GATEWAY = Source("gateway", {"app": "envoy"})
STRANGER = Source("team-b", {"app": "web"})
OUTSIDE = Source(address="203.0.113.7")
OFFICE = Source(address="10.9.8.7")
ALL = {
    "operator": OPERATOR,
    "prometheus": PROMETHEUS,
    "neighbour": NEIGHBOUR,
    "gateway": GATEWAY,
    "stranger": STRANGER,
    "outside": OUTSIDE,
    "office": OFFICE,
}


def rendered(access: dict[str, Any], settings: Settings = SETTINGS) -> dict[str, Any] | None:
    spec = {"model": {"source": "Qwen/Qwen3-8B"}, "access": access}
    body = {"metadata": {"name": "chat", "namespace": HOME, "uid": "1"}, "spec": spec}
    return network_policy.render(LLMDeployment.parse(body), settings)


def allows(policy: dict[str, Any], source: Source, port: int) -> bool:
    """Whether a connection of this source to this port of a selected pod is let through."""
    return any(
        any(_is_peer(peer, source) for peer in rule["from"]) and any(item["port"] == port for item in rule["ports"])
        for rule in policy["spec"]["ingress"]
    )


def _is_peer(peer: dict[str, Any], source: Source) -> bool:
    if "ipBlock" in peer:
        return bool(source.address) and ip_address(source.address) in ip_network(peer["ipBlock"]["cidr"])
    if source.address:
        return False
    namespace = {"kubernetes.io/metadata.name": source.namespace}
    is_there = (
        _matches(peer["namespaceSelector"], namespace) if "namespaceSelector" in peer else source.namespace == HOME
    )
    return is_there and _matches(peer.get("podSelector", {}), source.labels)


def _matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


GATEWAY_PEER = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}},
    "podSelector": {"matchLabels": {"app": "envoy"}},
}


@pytest.mark.parametrize(
    ("peers", "more"),
    [
        ([], []),
        ([{"podSelector": {}}], ["neighbour"]),
        ([{"podSelector": {"matchLabels": {"app": "other"}}}], []),
        ([GATEWAY_PEER], ["gateway"]),
        ([{"podSelector": {"matchLabels": {"app": "web"}}}, GATEWAY_PEER], ["neighbour", "gateway"]),
        ([{"namespaceSelector": {}}], ["neighbour", "gateway", "stranger"]),
        ([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}], ["neighbour", "stranger"]),
        ([{"ipBlock": {"cidr": "10.0.0.0/8"}}], ["office"]),
    ],
    ids=str,
)
def test_who_gets_to_the_engines(peers: list[dict[str, Any]], more: list[str]) -> None:
    """The operator and Prometheus always; beside them whom the peers name; to the engines' port and to no other."""
    policy = rendered({"networkPolicy": {"from": peers}})
    assert policy is not None
    assert {name for name, source in ALL.items() if allows(policy, source, PORT)} == {"operator", "prometheus", *more}
    assert not any(allows(policy, source, port) for source in ALL.values() for port in (22, 8001, 29500))


def test_it_is_about_the_pods_of_the_object_and_their_way_in() -> None:
    policy = rendered({"networkPolicy": {}})
    assert policy is not None
    assert policy["spec"]["podSelector"] == {"matchLabels": {"llmfleet.io/deployment": "chat"}}
    assert policy["spec"]["policyTypes"] == ["Ingress"]


def test_without_the_field_there_is_none() -> None:
    assert rendered({}) is None


def test_where_nobody_is_named_nobody_is_let_in() -> None:
    """A rule with an empty list of peers would let everybody in."""
    policy = rendered({"networkPolicy": {}}, Settings())
    assert policy is not None
    assert policy["spec"]["ingress"] == []


def test_the_operator_finds_its_own_namespace_where_the_settings_do_not_name_it() -> None:
    assert Settings().at_home("ops").network.operator_namespace == "ops"
    assert SETTINGS.at_home("ops").network.operator_namespace == "llmfleet"
