"""The operator's NetworkPolicy: what its code connects to, and who may ask it, and nothing else."""

from typing import Any

import pytest

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import PORT
from llmfleet.manifests import names
from tests.chart.chart import Manifest, activators, manifests, one
from tests.chart.test_rendering import CASES, values

Rule = dict[str, Any]


def policy(chart_values: dict[str, Any]) -> Rule:
    """The operator's; other policies of the chart have tests of their own."""
    found = [m for m in manifests(chart_values) if m["kind"] == "NetworkPolicy" and m["metadata"]["name"] == "llmfleet"]
    (spec,) = (manifest["spec"] for manifest in found)
    return dict(spec)


def rules_to(spec: Rule, port: int | str) -> list[Rule]:
    return [rule for rule in spec["egress"] if port in {item["port"] for item in rule["ports"]}]


@pytest.mark.parametrize("case", CASES)
def test_it_is_of_the_operators_pods_and_refuses_the_rest(case: str) -> None:
    spec = policy(values(case))
    deployment = one(values(case), "Deployment")
    assert spec["podSelector"] == deployment["spec"]["selector"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["ports"] for rule in [*spec["ingress"], *spec["egress"]])


@pytest.mark.parametrize("case", CASES)
def test_the_metrics_port_is_the_only_way_in(case: str) -> None:
    container = one(values(case), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    (rule,) = policy(values(case))["ingress"]
    assert [port["port"] for port in rule["ports"]] == [port["name"] for port in container["ports"]]
    assert rule["from"], "an empty list would be everybody"


def test_by_default_the_cluster_may_ask_and_nothing_outside() -> None:
    assert policy({})["ingress"][0]["from"] == [{"namespaceSelector": {}}]


def test_nobody_may_ask_where_nobody_is_named() -> None:
    assert policy({"networkPolicy": {"metricsFrom": []}})["ingress"] == []


def test_engines_are_reached_where_they_are_served() -> None:
    everywhere, here = (rules_to(policy(values(case)), PORT) for case in ("defaults", "namespaces"))
    ((to_all,), (to_some,)) = (rule["to"] for rule in (*everywhere, *here))
    assert to_all["podSelector"]["matchLabels"].items() <= names.labels("any").items()
    assert to_all["namespaceSelector"] == {}
    (expression,) = to_some["namespaceSelector"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a", "team-b"]}


def test_the_api_server_is_reached_and_can_be_named() -> None:
    (anywhere,) = rules_to(policy({}), 6443)
    assert ([port["port"] for port in anywhere["ports"]], "to" in anywhere) == ([443, 6443], False)
    (named,) = rules_to(policy(values("everything")), 6443)
    assert named["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "10.0.0.2/32"}}]


def test_names_are_asked_over_both_protocols() -> None:
    (rule,) = rules_to(policy({}), 53)
    assert rule["ports"] == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]


def test_it_can_be_left_out() -> None:
    found: list[Manifest] = manifests({"networkPolicy": {"enabled": False}})
    assert not any(m["kind"] == "NetworkPolicy" and m["metadata"]["name"] == "llmfleet" for m in found)


@pytest.mark.parametrize("case", CASES)
def test_the_activators_are_reached_at_their_objects_ports_by_anybody(case: str) -> None:
    """And at their own pages by the operator and by who may see metrics; they reach engines, and no other pods."""
    (found,) = (m["spec"] for m in activators(values(case), "NetworkPolicy"))
    (deployment,) = activators(values(case), "Deployment")
    assert found["podSelector"] == deployment["spec"]["selector"]
    assert found["policyTypes"] == ["Ingress", "Egress"]
    objects, pages = found["ingress"]
    ports = Settings.parse({}).activator
    last = ports.first_port + ports.ports - 1
    assert objects == {"ports": [{"protocol": "TCP", "port": ports.first_port, "endPort": last}]}
    operators = {"podSelector": one(values(case), "Deployment")["spec"]["selector"]}
    assert operators in pages["from"]
    assert [port["port"] for port in pages["ports"]] == ["http"]
    (engines,) = rules_to(found, PORT)
    assert engines["to"] == rules_to(policy(values(case)), PORT)[0]["to"]


def test_the_operator_reaches_the_activators_pages() -> None:
    (rule,) = rules_to(policy({}), 8080)
    assert [peer["podSelector"] for peer in rule["to"]] == [activators({}, "Deployment")[0]["spec"]["selector"]]
    assert rules_to(policy({"activator": {"enabled": False}}), 8080) == []
