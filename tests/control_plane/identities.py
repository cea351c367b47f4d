"""Who acts in a test of rights: the operator as the chart gives it rights, and tenants."""

import json
from pathlib import Path
from typing import Any

from tests.chart.chart import manifests
from tests.cluster.cluster import Cluster
from tests.control_plane.operator_process import until

RELEASE = "llmfleet"
"""Name and namespace of the release in `tests.chart.chart`."""
RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}

Rule = dict[str, Any]

EDIT = (f"{RELEASE}-view", f"{RELEASE}-edit")
"""What a tenant may do with LLMDeployments: the chart's cluster roles, which Kubernetes' own `edit` takes up."""
STATUS: Rule = {
    "apiGroups": ["serving.llmfleet.io"],
    "resources": ["llmdeployments/status"],
    "verbs": ["get", "update", "patch"],
}


def namespace(cluster: Cluster, name: str) -> None:
    """A namespace under the restricted Pod Security profile, once pods can be made there."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
    until(lambda: cluster.find("serviceaccount", "default", namespace=name), what=f"the account of {name}")


def operator(cluster: Cluster, **values: Any) -> Path:
    """The kubeconfig of the chart's own service account, with what the chart grants for these values and no more."""
    found = [manifest for manifest in manifests(values) if manifest["kind"] in RIGHTS]
    create(cluster, *found)
    return cluster.service_account_kubeconfig(RELEASE, RELEASE)


def tenant(cluster: Cluster, where: str, name: str, *roles: str, rules: tuple[Rule, ...] = ()) -> Path:
    """The kubeconfig of a service account with these cluster roles in its namespace, and rules beside."""
    meta = {"name": name, "namespace": where}
    own = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": list(rules)}
    bindings = [_binding(where, name, "Role", name), *(_binding(where, name, "ClusterRole", role) for role in roles)]
    create(cluster, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}, own, *bindings)
    return cluster.service_account_kubeconfig(where, name)


def _binding(where: str, account: str, kind: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{account}-{role}", "namespace": where},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": where}],
    }


def create(cluster: Cluster, *found: dict[str, Any]) -> None:
    """Apply manifests of any kind."""
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(found)}))
