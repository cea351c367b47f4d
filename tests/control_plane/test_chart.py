"""The chart on a real API server: it takes every rendering as it stands, and people get the rights that they should."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.chart import CHART, manifests
from tests.chart.test_rendering import CASES, values
from tests.cluster import ControlPlane
from tests.cluster.processes import wait_until

pytestmark = pytest.mark.control_plane

GROUP = "serving.llmfleet.io"
NAMESPACES = ("llmfleet", "team-a", "team-b", "monitoring")
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    with ControlPlane() as control_plane:
        for name in NAMESPACES:
            control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield control_plane


def may(cluster: ControlPlane, user: str, verb: str, resource: str, *, namespace: str = "team-a") -> bool:
    """What the API server answers about somebody's right."""
    plural, _, subresource = resource.partition("/")
    asked = {"group": GROUP, "resource": plural, "subresource": subresource, "verb": verb, "namespace": namespace}
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    answer: Any = cluster.api.request(
        "POST",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        body=kind | {"spec": {"user": user, "resourceAttributes": asked}},
    ).json()
    return bool(answer["status"]["allowed"])


def is_of_kubernetes(api_version: str) -> bool:
    """Whether the API server knows the group by itself."""
    group = api_version.rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_takes_every_object(cluster: ControlPlane, case: str) -> None:
    """Dry runs, as strict as kubectl is: no field unknown, no value refused. Kinds of other projects are not served."""
    objects = [m for m in manifests(values(case)) if is_of_kubernetes(m["apiVersion"])]
    listing = yaml.safe_dump_all(objects)
    said = cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=listing)
    assert said.count("created (server dry run)") == len(objects) > 0


def test_people_get_what_their_role_says(cluster: ControlPlane) -> None:
    """The chart adds to the roles that Kubernetes ships: who views reads, who edits changes, nobody writes a status."""
    cluster.helm("install", "llmfleet", str(CHART), "--namespace=llmfleet")
    for role in ("view", "edit", "admin"):
        cluster.kubectl(
            "create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}er", "--namespace=team-a"
        )
    wait_until("the aggregated rights", lambda: may(cluster, "viewer", "get", "llmdeployments"), timeout=60)
    wait_until("the aggregated rights", lambda: may(cluster, "adminer", "create", "llmdeployments"), timeout=60)
    assert {verb for verb in (*READ, *WRITE) if may(cluster, "viewer", verb, "llmdeployments")} == set(READ)
    assert {verb for verb in READ if may(cluster, "viewer", verb, "llmdeployments/scale")} == set(READ)
    for user in ("editer", "adminer"):
        assert all(may(cluster, user, verb, "llmdeployments") for verb in (*READ, *WRITE))
        assert all(may(cluster, user, verb, "llmdeployments/scale") for verb in ("update", "patch"))
    assert not may(cluster, "viewer", "patch", "llmdeployments/scale")
    assert not any(may(cluster, user, "patch", "llmdeployments/status") for user in ("viewer", "editer", "adminer"))
    assert not may(cluster, "editer", "get", "llmdeployments", namespace="team-b")
