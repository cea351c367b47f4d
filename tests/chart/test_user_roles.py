"""What people may do with LLMDeployments: added to Kubernetes' own roles, and nothing that is the operator's."""

from typing import Any

import pytest

from tests.chart.chart import Manifest, manifests
from tests.chart.test_rendering import values

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def user_roles(chart_values: dict[str, Any]) -> dict[str, Manifest]:
    """The aggregated ClusterRoles by name."""
    found = [m for m in manifests(chart_values) if m["kind"] == "ClusterRole"]
    return {m["metadata"]["name"]: m for m in found if any(AGGREGATE in label for label in m["metadata"]["labels"])}


def targets(role: Manifest) -> set[str]:
    labels = role["metadata"]["labels"]
    return {
        label.removeprefix(AGGREGATE) for label in labels if label.startswith(AGGREGATE) and labels[label] == "true"
    }


def test_who_edits_may_change_and_who_views_may_read() -> None:
    found = user_roles({})
    assert {name: targets(role) for name, role in found.items()} == {
        "llmfleet-view": {"view", "edit", "admin"},
        "llmfleet-edit": {"edit", "admin"},
    }
    (view,) = found["llmfleet-view"]["rules"]
    assert set(view["verbs"]) == {"get", "list", "watch"}
    changes = [
        (resource, set(rule["verbs"])) for rule in found["llmfleet-edit"]["rules"] for resource in rule["resources"]
    ]
    assert changes == [
        ("llmdeployments", {"create", "update", "patch", "delete", "deletecollection"}),
        ("llmdeployments/scale", {"update", "patch"}),
    ]


def test_only_the_own_group_is_granted() -> None:
    assert {group for role in user_roles({}).values() for rule in role["rules"] for group in rule["apiGroups"]} == {
        "serving.llmfleet.io"
    }


@pytest.mark.parametrize("case", ["defaults", "everything"])
def test_they_can_be_left_out(case: str) -> None:
    assert len(user_roles(values(case))) == 2
    assert user_roles(values(case) | {"rbac": {"aggregate": False}}) == {}


def test_without_rights_on_the_cluster_nothing_of_the_cluster_is_rendered() -> None:
    """Scope `namespace` can be installed by somebody who has rights in these namespaces alone."""
    found = manifests(values("namespaces"))
    assert [m["kind"] for m in found if m["kind"].startswith(("Cluster", "Custom"))] == []


def test_two_releases_in_two_namespaces_do_not_share_a_name() -> None:
    assert set(user_roles({"scope": "namespace"})) == {"llmfleet-llmfleet-view", "llmfleet-llmfleet-edit"}
