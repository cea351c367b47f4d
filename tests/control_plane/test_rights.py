"""Least rights, measured: by the audit log of a life under the chart's own rights. And no secret shows anywhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.chart import is_activators, manifests
from tests.cluster import ControlPlane
from tests.cluster.audit import Event
from tests.control_plane import identities
from tests.control_plane.operator_process import Operator, install_crd, llm, until
from tests.control_plane.scripted_life import CANARIES, VALUES, Life, everything_but_secrets, lived

pytestmark = pytest.mark.control_plane

USER = f"system:serviceaccount:{identities.RELEASE}:{identities.RELEASE}"
ACTIVATOR = f"{USER}-activator"
FORBIDDEN, CREATED = 403, 201

Right = tuple[str, str, str]
"""API group, resource with subresource, verb."""


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    with lived() as found:
        yield found


def granted(user: str) -> set[Right]:
    found = [m for m in manifests(VALUES) if m["kind"] in {"Role", "ClusterRole"} and _is_nobody_elses(m)]
    roles = [role for role in found if is_activators(role) is (user == ACTIVATOR)]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _is_nobody_elses(role: dict[str, object]) -> bool:
    """Not the aggregated roles, which are people's: the operator is bound to no role with that label."""
    labels = str(role["metadata"])
    return "rbac.authorization.k8s.io/aggregate-to" not in labels


def used(event: Event) -> set[Right]:
    """What a request needed: an apply that made its object needs `create` beside `patch`."""
    verbs = {event.verb} | ({"create"} if event.verb == "patch" and event.code == CREATED else set())
    return {(event.group, event.resource, verb) for verb in verbs}


@pytest.mark.parametrize("user", [USER, ACTIVATOR])
def test_every_right_that_is_granted_is_used(life: Life, user: str) -> None:
    events = life.cluster.audit_log.events(user=user, where=lambda e: e.code != FORBIDDEN)
    done = {right for event in events for right in used(event)}
    assert sorted(granted(user) - done) == []


@pytest.mark.parametrize("user", [USER, ACTIVATOR])
def test_no_request_was_refused(life: Life, user: str) -> None:
    refused = life.cluster.audit_log.events(user=user, where=lambda e: e.code == FORBIDDEN)
    assert sorted({(e.verb, e.group, e.resource, e.namespace) for e in refused}) == []
    assert "lacks a right" not in life.operator.log + life.activator.log


def test_the_rights_of_single_namespaces_suffice() -> None:
    """Nothing is asked for beyond them, and what lies elsewhere is left alone."""
    teams = ("team-a", "team-b")
    with ControlPlane(audit_reads=True) as cluster:
        install_crd(cluster)
        for name in (identities.RELEASE, *teams, "team-c"):
            identities.namespace(cluster, name)
        kubeconfig = identities.operator(cluster, scope="namespace", watchNamespaces=list(teams))
        with Operator(cluster, kubeconfig=kubeconfig, namespaces=teams, lease_namespace=identities.RELEASE) as operator:
            operator.wait_until_leading()
            for team in ("team-c", *teams):
                body = llm("chat")
                cluster.apply(body | {"metadata": body["metadata"] | {"namespace": team}})

            def are_served() -> bool:
                return all(cluster.find("deployment", "chat", namespace=team) for team in teams)

            until(are_served, what="the children of both")
        assert cluster.find("deployment", "chat", namespace="team-c") is None
        refused = cluster.audit_log.events(user=USER, where=lambda e: e.code == FORBIDDEN)
        assert sorted({(e.verb, e.resource, e.namespace) for e in refused}) == []


@pytest.mark.parametrize("canary", CANARIES.values(), ids=list(CANARIES))
def test_a_secret_stands_nowhere_but_in_its_secret(life: Life, canary: str) -> None:
    """Not in objects of any kind (status, Events, env, argv, managed fields), nor in what the operator shows."""
    process = life.operator.process
    assert process is not None
    places = {
        "objects": everything_but_secrets(life.cluster),
        "log": life.operator.log,
        "metrics": life.operator.page("/metrics")[1],
        "argv": Path(f"/proc/{process.pid}/cmdline").read_text(),
        "environment": Path(f"/proc/{process.pid}/environ").read_text(),
        "activator's log": life.activator.log,
        "audit log": life.cluster.audit_log.path.read_text(),
    }
    assert [name for name, text in places.items() if canary in text] == []


def test_the_secrets_were_in_use(life: Life) -> None:
    """Else the test before would be worth nothing."""
    names = {"VLLM_API_KEY", "HF_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    found = set()
    for name in ("late", "bucket"):
        container = life.cluster.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]
        found |= {e["name"] for e in container["env"] if e.get("valueFrom", {}).get("secretKeyRef")}
        assert "VLLM_API_KEY" not in " ".join(container["args"]).replace("$$(VLLM_API_KEY)", "")
    assert names <= found
