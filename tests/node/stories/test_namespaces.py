"""Releases with `scope: namespace`: each serves its own namespaces, and has no rights in any other."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.cluster import Node
from tests.cluster.cluster import Cluster
from tests.node.stories import operators, site
from tests.node.stories.tenant import STORY, Tenant, spec, tenant

pytestmark = [pytest.mark.node, pytest.mark.alone, pytest.mark.thorough, pytest.mark.usefixtures("release")]

NORTH, SOUTH = "llmfleet-north", "llmfleet-south"


@contextlib.contextmanager
def namespaced(cluster: Cluster, release: str, *served: Tenant) -> Iterator[str]:
    """A release in a namespace of its own that serves these; the name of its service account. Gone afterwards."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release, "labels": STORY}})
    names = [team.namespace for team in served]
    values = {"scope": "namespace", "watchNamespaces": names, "crds": {"enabled": False}, "rbac": {"aggregate": False}}
    site.install(cluster, extra=values, release=release, namespace=release)
    yield f"system:serviceaccount:{release}:{release}"
    site.uninstall(cluster, release=release, namespace=release)
    cluster.kubectl("delete", "namespace", release, "--timeout=120s")


def may(cluster: Cluster, user: str, verb: str, resource: str, *, namespace: str) -> bool:
    """Whether the API server lets a user do this; an empty namespace means all."""
    group, _, name = resource.rpartition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "namespace": namespace}
    groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"]
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
    }
    answer = cluster.api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body=body)
    return bool(answer.json()["status"]["allowed"])


def test_two_releases_side_by_side(cluster: Cluster) -> None:
    """One serves a and b, the other c, nobody d; each has its own Lease, and asks for nothing that it may not have."""
    site.uninstall(cluster)
    with contextlib.ExitStack() as stack:
        a, b, c, d = (stack.enter_context(tenant(cluster, f"space-{letter}")) for letter in "abcd")
        north = stack.enter_context(namespaced(cluster, NORTH, a, b))
        south = stack.enter_context(namespaced(cluster, SOUTH, c))
        for team in (a, b, c, d):
            team.apply("chat", spec())
        for team in (a, b, c):
            team.until_settled("chat", replicas=1)
        d.watch.during(3, lambda: bool(d.status("chat")) or bool(d.pods("chat")), "a foreign namespace was served")

        for release in (NORTH, SOUTH):
            leads = operators.pod_of(operators.leader(cluster, namespace=release))
            assert leads in operators.pods(cluster, namespace=release)
        for user, own in ((north, (a, b)), (south, (c,))):
            for namespace in [team.namespace for team in (a, b, c, d)] + ["default", ""]:
                served = namespace in {team.namespace for team in own}
                assert may(cluster, user, "list", "pods", namespace=namespace) is served
                assert may(cluster, user, "create", "apps/deployments", namespace=namespace) is served
        for release, user, own in ((NORTH, north, (a, b)), (SOUTH, south, (c,))):
            refused_nothing(cluster, release, user, {release, *(team.namespace for team in own)})


def refused_nothing(cluster: Cluster, release: str, user: str, own: set[str]) -> None:
    """No call of the operator was refused or went elsewhere: by its log, and on a node of ours by the audit log."""
    for pod in operators.pods(cluster, namespace=release):
        log = cluster.kubectl("logs", pod, "--namespace", release)
        assert "forbidden" not in log.lower()
        assert "403" not in log
    if isinstance(cluster, Node):
        calls = cluster.audit_log.events(user=user, where=lambda call: bool(call.resource))
        assert calls
        assert [call for call in calls if call.code in {401, 403} or call.namespace not in own] == []
