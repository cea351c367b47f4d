"""Nobody asks: no replica. Somebody asks: the request waits, a replica comes, and nothing is lost on the way."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.node.stories import site
from tests.node.stories.asking import Asking, Outcome
from tests.node.stories.tenant import Tenant, spec

pytestmark = pytest.mark.node

IDLE = {"minReplicas": 0, "maxReplicas": 2, "idleToZeroSeconds": 4, "scaleDownDelaySeconds": 2}
LATER = IDLE | {"idleToZeroSeconds": 600}
"""For stories in which a person scales to zero."""
SLOW = [{"name": "SIM_STARTUP_SECONDS", "value": "12"}]
ACTIVATOR = f"{site.RELEASE}-activator"


def until_asleep(team: Tenant, name: str) -> None:
    """Wait until there is no replica, and the activators answer for it."""

    def is_asleep() -> bool:
        return not team.pods(name) and team.condition(name, "Available").get("reason") == "ScaledToZero"

    team.watch.until(f"{name} is at zero", is_asleep)
    assert team.condition(name, "Available")["status"] == team.condition(name, "Ready")["status"] == "True"


def asleep(team: Tenant, name: str, **changes: Any) -> None:
    """An object that is at zero from the beginning."""
    team.apply(name, spec(replicas=0, scaling=LATER, **changes))
    until_asleep(team, name)


def statuses(found: list[Outcome]) -> set[int]:
    return {one.status for one in found}


def woken_at(team: Tenant, name: str) -> float:
    """Unix time at which one replica was written last."""
    events = [e for e in team.watch.history if (e.kind, e.name) == ("LLMDeployment", name)]
    replicas = [(e.at, e.body["spec"]["replicas"]) for e in events]
    changes = [at for (at, now), (_, before) in zip(replicas[1:], replicas, strict=False) if (before, now) == (0, 1)]
    return time.time() - time.monotonic() + changes[-1]


def test_idle_to_zero_and_two_hundred_at_once_wake_it(
    team: Tenant, record_property: Callable[[str, object], None]
) -> None:
    """The last replica goes by itself; two hundred requests at zero are all answered, and it goes again."""
    asking = Asking(team)
    team.apply("idle", spec(scaling=IDLE))
    team.until_settled("idle", replicas=1)
    until_asleep(team, "idle")
    assert team.status("idle")["scaling"]["history"][0]["reason"] == "idle"
    found = asking.start("idle", count=200).result()
    assert statuses(found) == {200}, [one for one in found if one.status != 200][:3]
    record_property("seconds from the first request to replicas written", _waited(team, found))
    reasons = [change["reason"] for change in team.status("idle")["scaling"]["history"]]
    assert "demand" in reasons
    until_asleep(team, "idle")
    assert len(team.replica_sets("idle")) == 1


def _waited(team: Tenant, found: list[Outcome]) -> str:
    return f"{woken_at(team, 'idle') - min(one.began for one in found):.2f}"


def test_requests_during_the_way_to_zero_are_answered(team: Tenant) -> None:
    """Whenever a request comes around the zero, it is answered, or told when to come again."""
    asking = Asking(team)
    team.apply("going", spec(scaling=LATER))
    team.until_settled("going", replicas=1)
    running = asking.start("going", count=200, every=0.1)
    team.watch.during(1, lambda: False, "requests are on their way")
    team.scale("going", 0)
    found = running.result()
    assert statuses(found) <= {200, 503}, [one for one in found if one.status not in {200, 503}][:3]
    assert all(one.retry_after for one in found if one.status == 503)
    team.until_ready("going", 1)
    assert asking.ask("going").status == 200


def test_what_no_engine_would_take_wakes_nothing(team: Tenant) -> None:
    """A wrong name, no key where one is asked for, an unknown path. A wrong key wakes: only the engine knows it."""
    asking = Asking(team)
    meta = {"name": "key", "namespace": team.namespace}
    team.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"key": "right"}})
    asleep(team, "guarded", access={"apiKeySecretRef": {"name": "key", "key": "key"}})
    other = {"model": "other", "messages": []}
    assert asking.ask("guarded").status == 401
    assert asking.ask("guarded", body=other, key="right").status == 404
    assert asking.ask("guarded", path="/v1/nothing", key="right").status == 404
    team.watch.during(4, lambda: bool(team.pods("guarded")), "a pod was started")
    assert team.object("guarded")["spec"]["replicas"] == 0
    refused = asking.start("guarded", key="wrong")
    team.until_ready("guarded", 1)
    assert refused.result()[0].status == 401
    assert asking.ask("guarded", key="right", tries=3).status == 200


def test_more_than_may_wait_are_told_to_come_again(team: Tenant) -> None:
    """Two activators hold 220 each; of 600 requests the others are answered 503 at once."""
    asking = Asking(team)
    asleep(team, "crowded", env=SLOW)
    found = asking.start("crowded", count=600).result()
    refused = [one for one in found if one.status == 503]
    assert statuses(found) == {200, 503}, [one for one in found if one.status not in {200, 503}][:3]
    assert len(refused) >= 600 - 2 * site.HELD
    assert all(int(one.retry_after) >= 1 for one in refused)
    assert '"type": "service_unavailable"' in refused[0].text
    assert asking.ask("crowded").status == 200


def test_with_a_network_policy_nothing_is_passed_on(team: Tenant) -> None:
    """A request wakes it and is told to come again, until the replica itself answers."""
    asking = Asking(team)
    asleep(team, "walled", access={"networkPolicy": {"from": [{"podSelector": {}}]}})
    first = asking.ask("walled")
    assert (first.status, "networkPolicy" in first.text) == (503, True)
    team.until_ready("walled", 1)
    team.watch.until_told("the replica answers", lambda: asking.ask("walled").status == 200)


@pytest.mark.alone
def test_activators_that_go_while_they_hold(team: Tenant) -> None:
    """In order, nothing is lost; killed, its connections break and those clients find the other one."""
    cluster, asking = team.cluster, Asking(team)
    asleep(team, "moved", env=SLOW)
    held = asking.start("moved", count=50)
    team.watch.until("it is woken", lambda: bool(team.pods("moved")))
    cluster.kubectl("-n", site.NAMESPACE, "rollout", "restart", f"deployment/{ACTIVATOR}")
    assert statuses(held.result()) == {200}
    cluster.kubectl("-n", site.NAMESPACE, "rollout", "status", f"deployment/{ACTIVATOR}", "--timeout=180s")
    team.scale("moved", 0)
    until_asleep(team, "moved")
    held = asking.start("moved", count=50, tries=30)
    team.watch.until("it is woken", lambda: bool(team.pods("moved")))
    label = "app.kubernetes.io/component=activator"
    pods = cluster.kubectl("-n", site.NAMESPACE, "get", "pods", "-l", label, "-o", "name").split()
    cluster.kubectl("-n", site.NAMESPACE, "delete", pods[0], "--grace-period=0", "--force")
    assert statuses(held.result()) == {200}
    cluster.kubectl("-n", site.NAMESPACE, "rollout", "status", f"deployment/{ACTIVATOR}", "--timeout=180s")


@pytest.mark.alone
def test_without_the_operator_requests_wait_until_it_is_back(team: Tenant) -> None:
    """Nothing wakes without it, nothing is lost, and who still waits is woken for."""
    asking = Asking(team)
    asleep(team, "alone")
    scale = ("-n", site.NAMESPACE, "scale", f"deployment/{site.RELEASE}")
    team.cluster.kubectl(*scale, "--replicas=0")
    team.cluster.kubectl("-n", site.NAMESPACE, "rollout", "status", f"deployment/{site.RELEASE}", "--timeout=120s")
    held = asking.start("alone", count=20)
    team.watch.during(5, lambda: bool(team.pods("alone")), "somebody else woke it")
    team.cluster.kubectl(*scale, "--replicas=2")
    assert statuses(held.result()) == {200}
