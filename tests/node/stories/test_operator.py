"""The operator comes and goes: pods do not care, and the end is the same. One story after the other."""

import sys
import time

import pytest

from tests.cluster import Node
from tests.cluster.cluster import Cluster
from tests.crd.cases import merged
from tests.node.stories.site import NAMESPACE, install, values
from tests.node.stories.tenant import Client, Tenant, spec, steady

pytestmark = [pytest.mark.node, pytest.mark.alone]

DEPLOYMENT = "deployment/llmfleet"
OPERATOR_PODS = "app.kubernetes.io/component=operator"


FIND_AND_KILL = """
import os, pathlib, sys
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        mine = f"HOSTNAME={sys.argv[1]}".encode() in (folder / "environ").read_bytes().split(b"\\0")
    except OSError:
        continue
    if mine:
        os.kill(int(folder.name), 9)
"""


def holder(cluster: Cluster) -> str:
    """Name of the process that holds the Lease, its pod's name and something of its own; empty while nobody does."""
    lease = cluster.select("lease", namespace=NAMESPACE)[0]
    return str(lease["spec"].get("holderIdentity", ""))


def leader(cluster: Cluster, *, other_than: str = "") -> str:
    """The process that leads, as soon as one does: in the other pod, or in a new container of the same."""
    began = time.monotonic()
    while (process := holder(cluster)) in {"", other_than}:
        assert time.monotonic() - began < 60, "nobody leads"
        time.sleep(0.2)
    return process


def kill(cluster: Cluster, process: str) -> None:
    """End an operator without a chance to say good-bye: SIGKILL on an own node, else the pod goes at once."""
    pod = process.split("_", maxsplit=1)[0]
    if isinstance(cluster, Node):
        cluster.run(sys.executable, "-c", FIND_AND_KILL, pod)
    else:
        cluster.kubectl("delete", "pod", pod, "--namespace", NAMESPACE, "--grace-period=0", "--force")


@pytest.mark.thorough
def test_restart_and_upgrade_roll_nothing(cluster: Cluster, team: Tenant) -> None:
    """Restarted, and upgraded with other settings that no object uses: no pod changes."""
    team.apply("calm", spec(replicas=2))
    team.until_settled("calm", replicas=2)
    pods = team.ready("calm")
    cluster.kubectl("rollout", "restart", DEPLOYMENT, "--namespace", NAMESPACE)
    cluster.kubectl("rollout", "status", DEPLOYMENT, "--namespace", NAMESPACE, "--timeout=180s")
    changed = values()
    changed["settings"]["scaling"]["scrapePeriodSeconds"] = 2
    install(cluster, verb="upgrade", extra=changed)
    team.watch.during(10, lambda: team.ready("calm") != pods, "pods changed with the operator")
    assert len(team.replica_sets("calm")) == 1
    team.apply("calm", spec(replicas=1))
    team.until_settled("calm", replicas=1)
    install(cluster, verb="upgrade")


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


def test_two_operators_one_writes(cluster: Cluster, team: Tenant) -> None:
    """Both run, one holds the Lease; when it dies the other takes over within 20 seconds."""
    pods = cluster.select("pods", namespace=NAMESPACE, labels=OPERATOR_PODS)
    assert len(pods) >= 2
    first = leader(cluster)
    team.apply("led", spec())
    team.until_settled("led", replicas=1)
    kill(cluster, first)
    began = time.monotonic()
    leader(cluster, other_than=first)
    took = time.monotonic() - began
    team.apply("led", merged(spec(), {"replicas": 2}))
    team.until_settled("led", replicas=2)
    print(f"takeover after {took:.1f} s")
    assert took <= 20
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
        "wait", "pod", "--selector", OPERATOR_PODS, "--namespace", NAMESPACE, "--for=delete", "--timeout=60s"
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
