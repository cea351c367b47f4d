"""A spec whose engines do not start: held, gone back from, tried again, corrected; whenever the operator dies.

The API server, its controllers and the scheduler are real, so are ReplicaSets and their templates; the kubelet is not.
"""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import ControlPlane
from tests.control_plane.kubelet import Kubelet, age, crashing, loading, ready
from tests.control_plane.operator_process import Operator, Target, llm, until
from tests.control_plane.write_proxy import WriteProxy

pytestmark = pytest.mark.control_plane

MODEL = {"source": "acme/novel-7b"}
"""A model of which the operator knows nothing: only the engine can tell what is wrong with its spec."""
BAD = {"maxModelLen": 200000}
FIXED = {"maxModelLen": 4096}
WORDS = (
    "Value error, User-specified max_model_len (200000) is greater than the derived max_model_len "
    "(max_position_embeddings=40960 or model_max_length=None in model's config.json)."
)
LOADING_SECONDS = 2.5
HOLD = "llmfleet.io/start-hold"
MERGE = "application/merge-patch+json"


def script(pod: dict[str, Any]) -> dict[str, Any]:
    """Engines with too long a context load, and then have failed three times; the others answer."""
    if "200000" not in " ".join(pod["spec"]["containers"][0]["args"]):
        return ready()
    return crashing(WORDS, times=3) if age(pod) > LOADING_SECONDS else loading()


@pytest.fixture(scope="module")
def kubelet(cluster: ControlPlane) -> Iterator[Kubelet]:
    with Kubelet(cluster, script) as running:
        yield running


def hold_of(target: Target) -> dict[str, Any]:
    """What stands on the Deployment; empty if nothing does."""
    annotations = target.get("deployment")["metadata"].get("annotations", {})
    found: dict[str, Any] = json.loads(annotations.get(HOLD, "{}"))
    return found


def pods_of(target: Target) -> dict[str, str]:
    """Name -> uid of the pods that are not on their way out."""
    found = target.cluster.select("pods", labels=f"llmfleet.io/deployment={target.name}")
    return {p["metadata"]["name"]: p["metadata"]["uid"] for p in found if "deletionTimestamp" not in p["metadata"]}


def end_the_pause(target: Target) -> None:
    """As if the time of the next try had come."""
    text = json.dumps(hold_of(target) | {"until": 1})
    path = f"/apis/apps/v1/namespaces/default/deployments/{target.name}"
    target.cluster.api.request("PATCH", path, body={"metadata": {"annotations": {HOLD: text}}}, content_type=MERGE)


def events_of(target: Target) -> set[str]:
    return {e["reason"] for e in target.cluster.select("events") if e["involvedObject"]["name"] == target.name}


def until_held(target: Target, *, holds: int = 1) -> None:
    until(lambda: hold_of(target).get("holds") == holds, what=f"{target.name} is held {holds} times")
    target.wait_for("Progressing", reason="StartHeld")


@pytest.mark.usefixtures("kubelet")
def test_a_changed_spec_that_fails(cluster: ControlPlane) -> None:
    """Back to the old template without touching an old pod; tried again; corrected at once."""
    target = Target(cluster, "changed")
    with Operator(cluster) as operator:
        operator.wait_until_leading()
        target.apply(model=MODEL, replicas=2)
        target.wait_for("Ready", reason="Available")
        old, template = pods_of(target), target.get("deployment")["spec"]["template"]
        sets = target.replica_sets()

        target.apply(model=MODEL, replicas=2, engine=BAD)
        until_held(target)
        until(lambda: pods_of(target) == old, what="only the old pods are left, the very same")
        assert target.get("deployment")["spec"]["template"] == template
        assert len(target.replica_sets()) == len(sets) + 1
        assert target.get("deployment")["spec"]["replicas"] == 2
        assert target.condition("Available")["status"] == "True"
        assert target.condition("Ready")["status"] == "False"
        message = target.wait_for("Progressing", reason="StartHeld")["message"]
        assert "ContextTooLong: spec.engine.maxModelLen 200000 is more than the model's context of 40960" in message
        assert "failed 3 times" in message
        assert "2 replicas of the earlier spec serve" in message
        assert (target.condition("SpecValid")["status"], target.condition("SpecValid")["reason"]) == (
            "False",
            "ContextTooLong",
        )
        assert 'llmfleet_start_held{name="changed",namespace="default"} 1.0' in operator.page("/metrics")[1]
        failures = 'llmfleet_start_failures_total{name="changed",namespace="default",reason="ContextTooLong"} 3.0'
        assert failures in operator.page("/metrics")[1]

        end_the_pause(target)
        until_held(target, holds=2)
        until(lambda: pods_of(target) == old, what="the old pods again, the very same")
        assert len(target.replica_sets()) == len(sets) + 1
        assert hold_of(target)["failures"] == 6
        until(lambda: {"StartHeld", "StartRetried"} <= events_of(target), what="both Events")

        target.apply(model=MODEL, replicas=2, engine=FIXED)
        until(lambda: not hold_of(target), what="the hold is gone")
        target.wait_for("Ready", reason="Available")
        assert not pods_of(target).keys() & old.keys()
        assert operator.stop() == 0


@pytest.mark.usefixtures("kubelet")
def test_a_first_spec_that_fails(cluster: ControlPlane) -> None:
    """No replica, so no GPU, while it is held; then one alone tries; replicas stay what the user wants."""
    target = Target(cluster, "first")
    with Operator(cluster) as operator:
        operator.wait_until_leading()
        target.apply(model=MODEL, replicas=3, engine=BAD)
        until_held(target)
        until(lambda: not pods_of(target), what="no pod is left")
        assert target.get("llm")["spec"]["replicas"] == 3
        assert target.get("llm")["status"]["ready"] == "0/3"
        assert "no replica runs meanwhile" in target.condition("Ready")["message"]

        cluster.kubectl("scale", "llm/first", "--replicas=5")
        target.settle()
        assert not pods_of(target)

        most = 0

        def is_held_again() -> bool:
            nonlocal most
            most = max(most, len(pods_of(target)))
            return bool(hold_of(target).get("holds") == 2)

        end_the_pause(target)
        until(is_held_again, what="held again")
        assert most == 1
        assert operator.stop() == 0


@pytest.mark.thorough
@pytest.mark.usefixtures("kubelet")
def test_a_crash_at_any_write_of_a_hold_converges(cluster: ControlPlane) -> None:
    """Killed before and after each write from the failure on: the same end, and no old pod is touched."""
    with WriteProxy(cluster) as proxy:
        ends = [
            disturbed(cluster, proxy, hold_at=hold_at, is_done_first=is_done_first)
            for hold_at in (0, 1, 2, 3)
            for is_done_first in (False, True)
            if hold_at or not is_done_first
        ]
    assert all(end == ends[0] for end in ends), ends


def disturbed(cluster: ControlPlane, proxy: WriteProxy, *, hold_at: int, is_done_first: bool) -> Any:
    """The end with a crash at one of the writes after the spec was changed, and a fresh start."""
    target = Target(cluster, f"held-{hold_at}-{'after' if is_done_first else 'before'}")
    proxy.arm(hold_at=0, is_done_first=False)
    with Operator(cluster, kubeconfig=proxy.kubeconfig()) as operator:
        operator.wait_until_leading()
        target.apply(model=MODEL)
        target.wait_for("Ready", reason="Available")
        old = pods_of(target)
        proxy.arm(hold_at=hold_at, is_done_first=is_done_first)
        cluster.apply(llm(target.name, model=MODEL, engine=BAD))
        if hold_at:
            assert proxy.is_held.wait(timeout=30), f"write {hold_at} never came"
            operator.stop(signal.SIGKILL)
            cluster.kubectl("delete", "lease", "llmfleet-operator")
            proxy.arm(hold_at=0, is_done_first=False)
            operator.start()
        found = end_of(target, old)
        assert operator.stop() == 0
    return found


def end_of(target: Target, old: dict[str, str]) -> Any:
    until_held(target)
    until(lambda: pods_of(target) == old, what="only the old pods are left, the very same")
    body, hold = target.get("deployment"), hold_of(target)
    return body["spec"]["replicas"], len(target.replica_sets()), hold["holds"], hold["failures"], hold["rolledBack"]
