"""The operator comes and goes: pods do not care, and the end is the same. One story after the other."""

import time
from collections.abc import Callable

import pytest

from tests.cluster.cluster import Cluster
from tests.crd.cases import merged
from tests.node.stories import operators
from tests.node.stories.operators import DEPLOYMENT, kill, leader
from tests.node.stories.site import NAMESPACE
from tests.node.stories.tenant import Client, Tenant, spec, steady

pytestmark = [pytest.mark.node, pytest.mark.alone]


@pytest.mark.thorough
def test_killed_in_the_middle_of_a_rollout(cluster: Cluster, team: Tenant) -> None:
    """The leader dies right after a change, and again during the rollout: same end, requests go on."""
    slow = [{"name": "SIM_STARTUP_SECONDS", "value": "3"}]
    team.apply("rolling", spec(replicas=2, env=slow))
    team.until_settled("rolling", replicas=2)
    requests = steady("rolling", count=200, per_second=8, output_tokens=20)
    client = Client(team, "client", urls=team.urls("rolling"), requests=requests)
    client.until_started()
    team.apply("rolling", spec(replicas=2, env=slow, engine={"maxNumSeqs": 77}))
    kill(cluster, leader(cluster))
    team.watch.until("the rollout began", lambda: len(team.replica_sets("rolling")) == 2)
    kill(cluster, leader(cluster))
    team.until_settled("rolling", replicas=2)
    assert len(team.replica_sets("rolling")) == 2
    assert all("--max-num-seqs=77" in pod["spec"]["containers"][0]["args"] for pod in team.pods("rolling"))
    assert client.result()["errors"] == []


def test_two_operators_one_writes(cluster: Cluster, team: Tenant, record_property: Callable[[str, str], None]) -> None:
    """Both run, one holds the Lease; when it dies the other takes over within 20 seconds, and nothing is lost."""
    assert len(operators.pods(cluster)) >= 2
    first = leader(cluster)
    team.apply("led", spec())
    team.until_settled("led", replicas=1)
    served = team.ready("led")
    kill(cluster, first)
    began = time.monotonic()
    team.apply("led", merged(spec(), {"replicas": 2}))
    leader(cluster, other_than=first)
    took = time.monotonic() - began
    team.until_settled("led", replicas=2)
    record_property("takeover", f"{took:.1f} s after the leader was killed")
    assert took <= 20
    assert set(served) < set(team.ready("led"))
    assert len(team.replica_sets("led")) == 1


@pytest.mark.thorough
def test_objects_changed_while_there_is_no_operator(cluster: Cluster, team: Tenant) -> None:
    """Serving goes on without it; when it is back it does what was asked for meanwhile."""
    team.apply("kept", spec())
    team.apply("dropped", spec())
    team.until_settled("kept", replicas=1)
    team.until_settled("dropped", replicas=1)
    cluster.kubectl("scale", DEPLOYMENT, "--namespace", NAMESPACE, "--replicas=0")
    cluster.kubectl(
        "wait", "pod", "--selector", operators.PODS, "--namespace", NAMESPACE, "--for=delete", "--timeout=60s"
    )
    requests = steady("kept", count=20, per_second=5, output_tokens=8)
    assert Client(team, "client", urls=team.urls("kept"), requests=requests).result()["errors"] == []
    team.apply("kept", spec(replicas=2))
    team.apply("fresh", spec())
    team.kubectl("delete", "llm", "dropped")
    team.watch.until("the deleted one's pods are gone", lambda: not team.pods("dropped"))
    cluster.kubectl("scale", DEPLOYMENT, "--namespace", NAMESPACE, "--replicas=2")
    team.until_settled("kept", replicas=2)
    team.until_settled("fresh", replicas=1)
