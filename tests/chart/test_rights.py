"""Least rights: exactly what the operator's code asks for, and nothing that could be turned into more."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from llmfleet.controller.plan import OPTIONAL
from llmfleet.kube import leader, resources
from tests.chart.chart import CHART, Manifest, activators, is_activators, manifests, one
from tests.chart.test_rendering import CASES, values

CHILD = {"get", "list", "watch", "create", "patch"}
RIGHTS = {
    ("serving.llmfleet.io", "llmdeployments"): {"list", "watch"},
    ("serving.llmfleet.io", "llmdeployments/status"): {"patch"},
    ("serving.llmfleet.io", "llmdeployments/scale"): {"patch"},
    ("apps", "deployments"): CHILD,
    ("apps", "replicasets"): {"get"},
    ("policy", "poddisruptionbudgets"): CHILD,
    ("autoscaling", "horizontalpodautoscalers"): CHILD | {"delete"},
    ("networking.k8s.io", "networkpolicies"): CHILD | {"delete"},
    ("discovery.k8s.io", "endpointslices"): CHILD | {"delete"},
    ("", "services"): CHILD,
    ("", "persistentvolumeclaims"): CHILD,
    ("", "pods"): {"list", "watch", "patch", "delete"},
    ("", "events"): {"create"},
}
"""Everything, where LLMDeployments are served."""
KEDA_RIGHTS = {("keda.sh", "scaledobjects"): CHILD | {"delete"}}
"""Only where the settings say where Prometheus is, without which there is no mode KEDA."""

FORBIDDEN_RESOURCES = {
    "secrets",
    "pods/exec",
    "pods/attach",
    "pods/portforward",
    "pods/ephemeralcontainers",
    "serviceaccounts",
    "serviceaccounts/token",
    "roles",
    "rolebindings",
    "clusterroles",
    "clusterrolebindings",
    "customresourcedefinitions",
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
    "nodes",
    "nodes/proxy",
    "namespaces",
    "llmdeployments/finalizers",
}
FORBIDDEN_VERBS = {"bind", "escalate", "impersonate", "delete", "deletecollection"}
DELETED = (
    {"apiGroups": [""], "resources": ["pods"]},
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"]},
    {"apiGroups": ["keda.sh"], "resources": ["scaledobjects"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]},
)
"""What the operator may delete: pods whose engine hangs, and optional children that are no longer wanted."""

Rule = dict[str, Any]


def dangers(rule: Rule) -> Iterator[str]:
    """What in a rule could be turned into more rights, or is a right that the operator has no use for."""
    words = {*rule.get("apiGroups", ()), *rule.get("resources", ()), *rule["verbs"]}
    yield from (f"wildcard {word}" for word in words if "*" in word)
    yield from (f"resource {name}" for name in rule.get("resources", ()) if name in FORBIDDEN_RESOURCES)
    own = {"delete"} if {key: rule.get(key) for key in ("apiGroups", "resources")} in DELETED else set()
    yield from (f"verb {verb}" for verb in rule["verbs"] if verb in FORBIDDEN_VERBS - own)
    if "nonResourceURLs" in rule:
        yield "nonResourceURLs"


def roles(case: str) -> list[Manifest]:
    """The operator's and the activators'; those of users are in test_user_roles.py."""
    found = [manifest for manifest in manifests(values(case)) if manifest["kind"] in {"Role", "ClusterRole"}]
    return [role for role in found if not any("/aggregate-to-" in label for label in role["metadata"]["labels"])]


def of_the_operator(case: str) -> tuple[list[Manifest], list[Manifest], list[Manifest]]:
    """Its roles: where LLMDeployments are served, for the election, and to know the activators."""
    own = [role for role in roles(case) if not is_activators(role)]
    ends = [role["metadata"]["name"].removeprefix("llmfleet") for role in own]
    serving, election, others = (
        [role for role, found in zip(own, ends, strict=True) if found == end] for end in ("", "-leader", "-activators")
    )
    assert len(serving) + len(election) + len(others) == len(own)
    return serving, election, others


def allowed(role: Manifest) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found[group, resource] |= set(rule["verbs"])
    return dict(found)


@pytest.mark.parametrize("case", CASES)
def test_no_rendering_grants_anything_dangerous(case: str) -> None:
    assert roles(case)
    assert [danger for role in roles(case) for rule in role["rules"] for danger in dangers(rule)] == []


@pytest.mark.parametrize(
    ("rule", "danger"),
    [
        ({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}, "resource secrets"),
        ({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}, "wildcard *"),
        ({"apiGroups": [""], "resources": ["*/scale"], "verbs": ["get"]}, "wildcard */scale"),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}, "wildcard *"),
        ({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}, "resource pods/exec"),
        ({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}, "verb impersonate"),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["deletecollection"]}, "verb deletecollection"),
        ({"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["delete"]}, "verb delete"),
        ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["delete"]}, "verb delete"),
        (
            {
                "apiGroups": ["autoscaling", "apps"],
                "resources": ["horizontalpodautoscalers", "deployments"],
                "verbs": ["delete"],
            },
            "verb delete",
        ),
        ({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, "nonResourceURLs"),
    ],
)
def test_what_is_dangerous_is_found(rule: Rule, danger: str) -> None:
    assert danger in list(dangers(rule))


@pytest.mark.parametrize(
    ("case", "places"),
    [
        ("defaults", [("ClusterRole", None)]),
        ("namespaces", [("Role", "team-a"), ("Role", "team-b")]),
        ("everything", [("Role", "llmfleet")]),
    ],
)
def test_the_rights_are_these_and_no_others(case: str, places: list[tuple[str, str | None]]) -> None:
    serving, election, others = of_the_operator(case)
    assert [(role["kind"], role["metadata"].get("namespace")) for role in serving] == places
    wanted = RIGHTS | KEDA_RIGHTS if case == "everything" else RIGHTS
    assert all(allowed(role) == wanted for role in serving)
    assert [role["metadata"]["namespace"] for role in election] == ["llmfleet"]
    assert [rule for role in election for rule in role["rules"]] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [leader.LEASE_NAME],
            "verbs": ["get", "update"],
        },
    ]
    assert [(role["kind"], role["metadata"]["namespace"]) for role in others] == [("Role", "llmfleet")]
    assert [rule for role in others for rule in role["rules"]] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["llmfleet-activator"],
            "verbs": ["get", "patch"],
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]


@pytest.mark.parametrize(
    ("case", "places"),
    [
        ("defaults", [("ClusterRole", None)]),
        ("namespaces", [("Role", "team-a"), ("Role", "team-b")]),
        ("everything", [("Role", "llmfleet")]),
    ],
)
def test_the_activators_only_look(case: str, places: list[tuple[str, str | None]]) -> None:
    """They take what anybody sends, so they may write nothing and see no Secret."""
    own = [role for role in roles(case) if is_activators(role)]
    (ports,) = (role for role in own if role["metadata"]["name"].endswith("-ports"))
    serving = [role for role in own if role is not ports]
    assert [(role["kind"], role["metadata"].get("namespace")) for role in serving] == places
    looks = {"list", "watch"}
    wanted = {("serving.llmfleet.io", "llmdeployments"): looks, ("", "pods"): looks}
    assert all(allowed(role) == wanted for role in serving)
    assert ports["metadata"]["namespace"] == "llmfleet"
    assert ports["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["llmfleet-activator"],
            "verbs": ["list", "watch"],
        }
    ]


def test_without_activators_nothing_of_theirs_is_there() -> None:
    found = manifests({"activator": {"enabled": False}})
    assert [m for m in found if "activator" in m["metadata"]["name"]] == []
    (container,) = one({"activator": {"enabled": False}}, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert not any("--activator" in arg for arg in container["args"])


def test_pods_are_not_deleted_where_hangs_are_only_told() -> None:
    """Least rights: who turns replacing off takes the right away with it."""
    off = values("defaults") | {"settings": {"hangs": {"replacementsPerHour": 0}}}
    (role,) = (m for m in manifests(off) if m["kind"] == "ClusterRole" and m["metadata"]["name"] == "llmfleet")
    assert allowed(role)["", "pods"] == {"list", "watch", "patch"}


def test_what_the_operator_watches_and_applies_is_granted() -> None:
    def of(resource: resources.Resource) -> set[str]:
        group = resource.api_version.rpartition("/")[0]
        return (RIGHTS | KEDA_RIGHTS)[group, resource.plural]

    assert all({"list", "watch"} <= of(resource) for resource in (resources.LLMS, *resources.WATCHED_CHILDREN))
    for kind, resource in resources.CHILDREN.items():
        assert of(resource) == CHILD | ({"delete"} if kind in OPTIONAL | {resources.SLICES.kind} else set())


@pytest.mark.parametrize("case", CASES)
def test_each_role_is_bound_to_its_own_account_alone(case: str) -> None:
    for theirs in (False, True):
        found = [m for m in manifests(values(case)) if is_activators(m) is theirs]
        (account,) = (m["metadata"] for m in found if m["kind"] == "ServiceAccount")
        bindings = [m for m in found if m["kind"].endswith("RoleBinding")]
        bound = [(m["roleRef"]["kind"], m["roleRef"]["name"], m["metadata"].get("namespace")) for m in bindings]
        assert bound == [
            (role["kind"], role["metadata"]["name"], role["metadata"].get("namespace"))
            for role in roles(case)
            if is_activators(role) is theirs
        ]
        subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
        assert all(m["subjects"] == [subject] for m in bindings)
        (deployment,) = (m for m in found if m["kind"] == "Deployment")
        assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]


@pytest.mark.parametrize(
    ("case", "watched"), [("defaults", []), ("namespaces", ["team-a", "team-b"]), ("everything", ["llmfleet"])]
)
def test_they_watch_where_they_have_rights(case: str, watched: list[str]) -> None:
    for deployment in (one(values(case), "Deployment"), *activators(values(case), "Deployment")):
        args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        assert [arg.removeprefix("--namespace=") for arg in args if arg.startswith("--namespace=")] == watched


def test_the_comparison_in_the_security_notes_counts_ours_right() -> None:
    rules, lease, others = (sum(len(role["rules"]) for role in some) for some in of_the_operator("defaults"))
    theirs = sum(len(role["rules"]) for role in roles("defaults") if is_activators(role))
    own = f"and in its own namespace {lease} for its Lease and {others} for the activators, who have {theirs}"
    row = f"| llmfleet | {rules} (with KEDA {rules + 1}), {own} |"
    assert row in (CHART.parents[1] / "SECURITY.md").read_text()
