"""What happens to the operator's process: it is restarted, doubled, killed, stopped, or dies between two writes."""

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import ControlPlane
from tests.cluster.audit import count
from tests.control_plane.operator_process import Operator, Target, install_crd, llm, now, until, writes
from tests.control_plane.write_proxy import WriteProxy

pytestmark = pytest.mark.control_plane

TAKEOVER = 20.0
"""Seconds within which a dead leader has a successor: the Lease's 15, a try each 2, and the time to begin."""
SETTLED = 3.0
FEWEST_WRITES = 5
"""Three children and two statuses; an Event and a further status come by the speed of the scheduler."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    with ControlPlane() as control_plane:
        install_crd(control_plane)
        yield control_plane


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
        second.wait_until_leading(seconds=10)
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
        listed = cluster.get("services", "-A", "-l", "llmfleet.io/deployment=spread")["items"]
        return {item["metadata"]["namespace"] for item in listed}

    with Operator(cluster, kubeconfig=kubeconfig, namespaces=("mine", "yours")) as operator:
        until(lambda: services() == {"mine", "yours"}, what="both namespaces are served")
        until(lambda: operator.page("/readyz")[0] == 200, what="the operator is ready")
        time.sleep(SETTLED)
        assert services() == {"mine", "yours"}
        assert operator.stop() == 0


def converged(cluster: ControlPlane, name: str) -> Any:
    """The end: children and status without what differs between any two objects."""
    target = Target(cluster, name)
    until(lambda: len(target.child_names) == 3, what="three children")
    target.wait_for("Progressing", reason="Unschedulable")
    assert len(target.replica_sets()) == 1
    shapes = {kind: shape(target, kind) for kind in ("deployment", "service", "pdb", "llm")}
    return json.loads(json.dumps(shapes).replace(name, "NAME"))


def shape(target: Target, kind: str) -> Any:
    body = target.get(kind)
    if kind == "llm":
        conditions = {c["type"]: (c["status"], c["reason"]) for c in body["status"]["conditions"]}
        return body["spec"], conditions, body["status"]["observedGeneration"]
    spec = {key: value for key, value in body["spec"].items() if not key.startswith("clusterIP")}
    return spec, body["metadata"]["labels"]


def test_a_crash_at_any_write_converges(cluster: ControlPlane) -> None:
    """Killed before each of its writes, and after each but before the answer: the same end, nothing made twice."""
    with WriteProxy(cluster) as proxy:
        wanted, number = undisturbed(cluster, proxy)
        assert number >= FEWEST_WRITES
        for hold_at in range(1, FEWEST_WRITES + 1):
            for is_done_first in (False, True):
                found = disturbed(cluster, proxy, hold_at=hold_at, is_done_first=is_done_first)
                assert found == wanted, f"killed at write {hold_at}, done first: {is_done_first}"


def undisturbed(cluster: ControlPlane, proxy: WriteProxy) -> tuple[Any, int]:
    """The end without a crash, and how many writes it took."""
    with Operator(cluster, kubeconfig=proxy.kubeconfig()) as operator:
        operator.wait_until_leading()
        proxy.arm(hold_at=0, is_done_first=False)
        cluster.apply(llm("crash-never"))
        wanted = converged(cluster, "crash-never")
        time.sleep(SETTLED)
        assert operator.stop() == 0
    return wanted, proxy.count


def disturbed(cluster: ControlPlane, proxy: WriteProxy, *, hold_at: int, is_done_first: bool) -> Any:
    """The end with a crash at one write and a fresh start."""
    name = f"crash-{hold_at}-{'after' if is_done_first else 'before'}"
    proxy.arm(hold_at=hold_at, is_done_first=is_done_first)
    cluster.apply(llm(name))
    with Operator(cluster, kubeconfig=proxy.kubeconfig()) as operator:
        assert proxy.is_held.wait(timeout=30), f"write {hold_at} never came"
        operator.stop(signal.SIGKILL)
    cluster.kubectl("delete", "lease", "llmfleet-operator")  # else the next one waits 15 s for the dead one's to end
    proxy.arm(hold_at=0, is_done_first=False)
    with Operator(cluster, kubeconfig=proxy.kubeconfig()) as operator:
        operator.wait_until_leading()
        found = converged(cluster, name)
        assert operator.stop() == 0
    return found
