"""What happens to the operator's process: it is restarted, doubled, killed, stopped."""

import signal
import time

import pytest

from tests.cluster import ControlPlane
from tests.cluster.audit import count
from tests.control_plane.operator_process import Operator, Target, llm, now, until, writes

pytestmark = pytest.mark.control_plane

TAKEOVER = 20.0
"""Seconds within which a dead leader has a successor: the Lease's 15, a try each 2, and the time to begin."""
SETTLED = 3.0


@pytest.fixture(autouse=True)
def no_lease(cluster: ControlPlane) -> None:
    """Each test begins without a leader of an earlier one."""
    cluster.kubectl("delete", "lease", "llmfleet-operator", "--ignore-not-found")


def holder(cluster: ControlPlane) -> str:
    found: str = cluster.get("lease", "llmfleet-operator")["spec"].get("holderIdentity", "")
    return found


def test_a_restart_writes_nothing(cluster: ControlPlane) -> None:
    """Nothing but the Lease, although every object is looked at again; the Lease is handed over at once."""
    target = Target(cluster, "kept")
    with Operator(cluster) as first:
        target.apply(scaling={"maxReplicas": 3})
        target.wait_for("Progressing", reason="Unschedulable")
        time.sleep(2 * SETTLED)  # the autoscaler has reported too
        assert first.stop() == 0
    assert holder(cluster) == ""
    since = now()
    with Operator(cluster) as second:
        second.wait_until_leading()
        time.sleep(SETTLED)
        assert count(writes(cluster, since=since)) == {}
        assert 'llmfleet_reconcile_total{result="ok"}' in second.page("/metrics")[1]


def test_of_two_operators_one_writes(cluster: ControlPlane) -> None:
    """The other one is ready, and silent, until the first is killed; then it takes over in time."""
    with Operator(cluster) as first:
        first.wait_until_leading()
        with Operator(cluster, name="second") as second:
            until(lambda: second.page("/readyz")[0] == 200, what="the second one is ready")
            Target(cluster, "of-first").apply()
            assert not second.leads()
            assert "llmfleet_api_writes_total{" not in second.page("/metrics")[1]
            assert "llmfleet_replicas{" in first.page("/metrics")[1]
            assert "llmfleet_replicas{" not in second.page("/metrics")[1]
            first.stop(signal.SIGKILL)
            killed_at = time.monotonic()
            cluster.apply(llm("of-second"))
            second.wait_until_leading(seconds=TAKEOVER)
            until(lambda: len(Target(cluster, "of-second").child_names) == 3, what="the second one works")
            assert time.monotonic() - killed_at < TAKEOVER


def test_a_leader_that_was_stopped_ends_without_a_write(cluster: ControlPlane) -> None:
    """SIGSTOP for longer than the Lease: another one leads; woken up, the first one exits and has written nothing."""
    with Operator(cluster) as first:
        first.wait_until_leading()
        assert first.process is not None
        first.process.send_signal(signal.SIGSTOP)
        with Operator(cluster, name="second") as second:
            second.wait_until_leading(seconds=TAKEOVER + 5)
            leader = holder(cluster)
            assert second.stop(signal.SIGKILL) != 0
            time.sleep(2)  # what the second one had sent may still be on its way through the API server
            since = now()
            cluster.apply(llm("nobodys"))
            first.process.send_signal(signal.SIGCONT)
            assert first.process.wait(timeout=30) == 1
            assert count(writes(cluster, since=since)) == {}
            assert holder(cluster) == leader


def test_an_operator_of_two_namespaces_leaves_others_alone(cluster: ControlPlane) -> None:
    """Whose rights end at those namespaces: the rules for children are bound there and nowhere else."""
    for namespace in ("mine", "yours", "theirs"):
        cluster.kubectl("create", "namespace", namespace)
        cluster.apply(llm("spread") | {"metadata": {"name": "spread", "namespace": namespace}})
    cluster.kubectl("create", "serviceaccount", "operator", "--namespace=mine")
    for namespace in ("mine", "yours"):
        cluster.kubectl(
            "create",
            "rolebinding",
            "operator",
            "--clusterrole=cluster-admin",
            "--serviceaccount=mine:operator",
            "-n",
            namespace,
        )
    cluster.kubectl(
        "create",
        "rolebinding",
        "lease",
        "--clusterrole=cluster-admin",
        "--serviceaccount=mine:operator",
        "-n",
        "default",
    )
    kubeconfig = cluster.service_account_kubeconfig("mine", "operator")

    def services() -> set[str]:
        listed = cluster.select("services", namespace="", labels="llmfleet.io/deployment=spread")
        return {item["metadata"]["namespace"] for item in listed}

    with Operator(cluster, kubeconfig=kubeconfig, namespaces=("mine", "yours")) as operator:
        until(lambda: services() == {"mine", "yours"}, what="both namespaces are served")
        until(lambda: operator.page("/readyz")[0] == 200, what="the operator is ready")
        time.sleep(SETTLED)
        assert services() == {"mine", "yours"}
        assert operator.stop() == 0
