"""Engines that crash, hang or start slowly."""

from typing import Any

import pytest

from tests.node.stories.tenant import Client, Tenant, spec, steady
from tests.node.stories.watching import is_ready

pytestmark = pytest.mark.node


def test_engine_crash(team: Tenant) -> None:
    """The engine dies and the server exits with code 0, as vLLM does: noticed, named, and restarted."""
    team.apply("crashing", spec(replicas=2))
    team.until_settled("crashing", replicas=2)
    victim, other = team.ready("crashing")
    team.fault(victim, "crash")
    team.watch.until("one is not ready", lambda: team.ready("crashing") == [other])
    team.watch.until(
        "Degraded",
        lambda: any(
            c["reason"] == "Degraded"
            for event in team.watch.history
            if event.kind == "LLMDeployment"
            for c in event.body.get("status", {}).get("conditions", [])
            if c["type"] == "Ready"
        ),
    )
    assert team.condition("crashing", "Available")["status"] == "True"
    team.until_settled("crashing", replicas=2)
    restarted = next(p for p in team.pods("crashing") if p["metadata"]["name"] == victim)
    assert restarted["status"]["containerStatuses"][0]["restartCount"] == 1


def test_crash_loop(team: Tenant) -> None:
    """An engine that never starts is held, with its cause in words, and its GPU is free meanwhile."""
    team.apply("broken", spec(env=[{"name": "SIM_FAULTS", "value": "start-error"}]))
    team.watch.until(
        "StartHeld", lambda: team.condition("broken", "Progressing").get("reason") == "StartHeld", timeout=90
    )
    message = team.condition("broken", "Progressing")["message"]
    assert "DoesNotFitMemory: The GPU's memory ran out." in message
    assert "failed 3 times" in message
    team.until_pods("broken", 0)


@pytest.mark.thorough
def test_held_start(team: Tenant) -> None:
    """A changed spec that does not start goes back to what serves, a corrected one rolls, and no stream is cut."""
    team.apply("served", spec(replicas=2))
    team.until_settled("served", replicas=2)
    old = team.ready("served")
    requests = steady("served", count=600, per_second=5, output_tokens=100)
    client = Client(team, "client", urls=team.urls("served"), requests=requests)
    client.until_started()
    words = "Cannot find the config file for awq"
    team.apply("served", spec(replicas=2, env=[{"name": "SIM_START_ERROR", "value": words}]))
    team.watch.until(
        "StartHeld", lambda: team.condition("served", "Progressing").get("reason") == "StartHeld", timeout=90
    )
    assert "QuantizationMismatch" in team.condition("served", "Progressing")["message"]
    assert team.condition("served", "SpecValid")["reason"] == "QuantizationMismatch"
    team.until_pods("served", 2)
    assert team.ready("served") == old
    assert len(team.replica_sets("served")) == 2
    team.apply("served", spec(replicas=2, engine={"maxNumSeqs": 64}))
    team.until_ready("served", 2, without=old)
    result = client.result()
    assert (result["errors"], result["requests"]) == ([], 600)


@pytest.mark.thorough
def test_slow_start(team: Tenant) -> None:
    """While it loads the object says so; it is not restarted, and becomes ready in the end."""
    team.apply("slow", spec(env=[{"name": "SIM_FAULTS", "value": "slow-start=15"}]))
    team.watch.until("Loading", lambda: team.condition("slow", "Progressing").get("reason") == "Loading")
    assert team.condition("slow", "Available")["status"] == "False"
    team.until_settled("slow", replicas=1)
    assert team.pods("slow")[0]["status"]["containerStatuses"][0]["restartCount"] == 0
    assert team.status("slow")["engine"]["startupSeconds"] >= 15


SLOW = [{"name": "SIM_TIME_SCALE", "value": "0.1"}]
"""Ten milliseconds a step become a tenth of a second: streams last, as with a real model."""


def replaced(team: Tenant, name: str) -> list[str]:
    """Pods that the operator replaced because their engine hung, newest first."""
    return [record["pod"] for record in team.status(name).get("replacements", [])]


def test_hang(team: Tenant) -> None:
    """A hung engine answers /health, so Kubernetes sees nothing: the operator replaces it, and only it."""
    team.apply("hung", spec(replicas=2, env=SLOW))
    team.until_settled("hung", replicas=2)
    victim, other = team.ready("hung")
    address = next(p["status"]["podIP"] for p in team.pods("hung") if p["metadata"]["name"] == other)
    both = Client(
        team, "both", urls=team.urls("hung"), requests=steady("hung", count=40, per_second=2, output_tokens=90)
    )
    streams = steady("hung", count=40, per_second=1, output_tokens=200)
    direct = Client(team, "direct", urls={"hung": f"http://{address}:8000/v1"}, requests=streams)
    for client in (both, direct):
        client.until_started()
    team.until_running(victim, other)
    team.fault(victim, "hang")
    team.watch.until("the hung pod is replaced", lambda: replaced(team, "hung") == [victim], timeout=90)
    (record,) = team.status("hung")["replacements"]
    assert "in flight and no engine step for" in record["message"]
    team.until_ready("hung", 2, without=[victim])
    assert other in team.ready("hung")
    assert "EngineHung" in team.kubectl("describe", "llm", "hung").split("Events:")[1]
    assert direct.result()["errors"] == [], "streams of the working replica were cut"
    assert replaced(team, "hung") == [victim]


@pytest.mark.thorough
def test_all_hang(team: Tenant) -> None:
    """Frozen counters hold the replicas; then the replicas are replaced, one at a time."""
    scaling = {"minReplicas": 1, "maxReplicas": 4, "scaleDownDelaySeconds": 60}
    team.apply("hung", spec(scaling=scaling, replicas=2, env=SLOW))
    team.until_settled("hung", replicas=2)
    old = team.ready("hung")
    requests = steady("hung", count=40, per_second=20, output_tokens=400)
    Client(team, "client", urls=team.urls("hung"), requests=requests).until_started()
    team.until_running(*old)
    for pod in old:
        team.fault(pod, "hang")
    team.watch.until("held", lambda: team.condition("hung", "ScalingActive").get("reason") == "HeldStale", timeout=90)
    left = len(team.ready("hung"))
    team.watch.during(8, lambda: len(team.pods("hung")) < left, "a replica was taken away from a hung fleet")
    team.watch.until("both are replaced", lambda: set(replaced(team, "hung")) == set(old), timeout=120)
    team.until_ready("hung", 2, without=old)
    assert one_at_a_time(team, old)


def one_at_a_time(team: Tenant, pods: list[str]) -> bool:
    """Whether a new pod was ready before the second of these two was deleted."""
    deleted: set[str] = set()
    ready: set[str] = set()
    for event in team.watch.history:
        if event.kind != "Pod" or "llmfleet.io/deployment" not in event.body["metadata"].get("labels", {}):
            continue
        if event.name in pods and "deletionTimestamp" in event.body["metadata"]:
            deleted.add(event.name)
        if len(deleted) == len(pods):
            return bool(ready)
        if event.name not in pods and is_ready(event.body):
            ready.add(event.name)
    return False


@pytest.mark.thorough
@pytest.mark.long
def test_hang_again_and_again(team: Tenant) -> None:
    """After three replacements in an hour the object says so, and the fourth hung pod is left alone."""
    team.apply("hanging", spec(env=SLOW))
    team.until_settled("hanging", replicas=1)
    requests = steady("hanging", count=1200, per_second=2, output_tokens=50)
    Client(team, "client", urls=team.urls("hanging"), requests=requests).until_started()
    gone: list[str] = []
    while True:
        (pod,) = team.ready("hanging")
        team.until_served(pod, 10)  # for seconds, so that the operator has seen it work
        team.fault(pod, "hang")
        if len(gone) == 3:
            break
        gone.insert(0, pod)
        team.watch.until(f"{pod} is replaced", lambda: replaced(team, "hanging") == gone)
        team.until_ready("hanging", 1, without=gone)

    def ready() -> dict[str, Any]:
        return team.condition("hanging", "Ready")

    team.watch.until("given up", lambda: "3 were replaced in the last hour" in ready().get("message", ""))
    assert ready()["reason"] == "EngineHung"
    assert team.condition("hanging", "Available")["reason"] == "NoneReady"
    team.watch.during(15, lambda: team.ready("hanging") != [pod], "a fourth pod was replaced within the hour")
    assert replaced(team, "hanging") == gone
