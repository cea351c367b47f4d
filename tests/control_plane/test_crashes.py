"""The operator dies between two writes, or between a write and its answer: the end is the same."""

import json
import signal
import time
from typing import Any

import pytest

from llmfleet.manifests.names import RENDERED_HASH
from tests.cluster import ControlPlane
from tests.control_plane.operator_process import Operator, Target, llm, until
from tests.control_plane.write_proxy import WriteProxy

pytestmark = pytest.mark.control_plane

SETTLED = 3.0
FEWEST_WRITES = 5
"""Three children and two statuses; an Event and a further status come by the speed of the scheduler."""


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
    if kind == "deployment":
        spec["template"]["metadata"]["annotations"].pop(RENDERED_HASH)  # it covers the object's name
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
