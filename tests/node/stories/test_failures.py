"""Engines that crash, hang or start slowly."""

import pytest

from tests.node.stories.tenant import Client, Tenant, spec, steady

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
    """An engine that never starts is Stuck, with its own words."""
    team.apply("broken", spec(env=[{"name": "SIM_FAULTS", "value": "start-error"}]))
    team.watch.until("Stuck", lambda: team.condition("broken", "Progressing").get("reason") == "Stuck", timeout=90)
    message = team.condition("broken", "Progressing")["message"]
    assert "Engine core initialization failed" in message
    assert "exit code 1" in message


@pytest.mark.thorough
def test_slow_start(team: Tenant) -> None:
    """While it loads the object says so; it is not restarted, and becomes ready in the end."""
    team.apply("slow", spec(env=[{"name": "SIM_FAULTS", "value": "slow-start=15"}]))
    team.watch.until("Loading", lambda: team.condition("slow", "Progressing").get("reason") == "Loading")
    assert team.condition("slow", "Available")["status"] == "False"
    team.until_settled("slow", replicas=1)
    assert team.pods("slow")[0]["status"]["containerStatuses"][0]["restartCount"] == 0
    assert team.status("slow")["engine"]["startupSeconds"] >= 15


@pytest.mark.thorough
def test_hang(team: Tenant) -> None:
    """A hung engine answers /health: Kubernetes sees nothing, so its frozen counters must hold the replicas."""
    scaling = {"minReplicas": 1, "maxReplicas": 4, "scaleDownDelaySeconds": 5}
    slow = [{"name": "SIM_TIME_SCALE", "value": "0.1"}]
    team.apply("hung", spec(scaling=scaling, replicas=2, env=slow))
    team.until_settled("hung", replicas=2)
    requests = steady("hung", count=40, per_second=20, output_tokens=400)
    Client(team, "client", urls=team.urls("hung"), requests=requests).until_started()
    team.watch.during(3, lambda: False, "requests are on their way")
    for pod in team.ready("hung"):
        team.fault(pod, "hang")
    team.watch.until("held", lambda: team.condition("hung", "ScalingActive").get("reason") == "HeldStale", timeout=90)
    left = len(team.ready("hung"))
    team.watch.during(10, lambda: len(team.pods("hung")) < left, "a replica was taken away from a hung fleet")
