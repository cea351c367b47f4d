"""No stream is cut on rollout, scale-down and eviction: 0 of at least 200 in each story."""

import pytest

from tests.cluster.api import ApiError
from tests.node.stories.tenant import Client, Tenant, spec, steady

pytestmark = pytest.mark.node

COUNT = 240
PACE = [{"name": "SIM_TIME_SCALE", "value": "0.07"}]
"""Ten tokens a second: long streams that cost little."""
TOKENS = 50


def streaming(team: Tenant, name: str) -> Client:
    """Eight new streams a second for half a minute, each of about five seconds."""
    requests = steady(name, count=COUNT, per_second=8, output_tokens=TOKENS)
    client = Client(team, "client", urls=team.urls(name), requests=requests)
    client.until_started()
    return client


def nothing_was_cut(client: Client) -> None:
    result = client.result()
    assert result["errors"] == []
    assert result["requests"] == COUNT >= 200
    assert result["tokens"] == COUNT * TOKENS


@pytest.mark.long
def test_rollout_cuts_no_stream(team: Tenant) -> None:
    team.apply("rolling", spec(env=PACE, replicas=2))
    team.until_settled("rolling", replicas=2)
    client = streaming(team, "rolling")
    for seqs in (100, 101):
        before = team.ready("rolling")
        team.apply("rolling", spec(env=PACE, replicas=2, engine={"maxNumSeqs": seqs}))
        team.until_ready("rolling", 2, without=before)
    nothing_was_cut(client)


@pytest.mark.long
def test_scale_down_cuts_no_stream(team: Tenant) -> None:
    team.apply("shrinking", spec(env=PACE, replicas=4))
    team.until_settled("shrinking", replicas=4)
    client = streaming(team, "shrinking")
    for replicas in (2, 1):
        team.scale("shrinking", replicas)
        team.until_pods("shrinking", replicas)
    nothing_was_cut(client)


@pytest.mark.long
def test_eviction_cuts_no_stream(team: Tenant) -> None:
    """Pods are evicted as `kubectl drain` does it; the PodDisruptionBudget lets one go at a time."""
    team.apply("evicted", spec(env=PACE, replicas=2))
    team.until_settled("evicted", replicas=2)
    client = streaming(team, "evicted")
    first, second = team.ready("evicted")
    evict(team, first)
    with pytest.raises(ApiError, match="disruption budget") as refused:
        evict(team, second)
    assert refused.value.status == 429
    team.until_ready("evicted", 2, without=[first])
    evict(team, second)
    team.until_ready("evicted", 2, without=[first, second])
    nothing_was_cut(client)


def test_last_replica_is_let_go(team: Tenant) -> None:
    """A single replica does not hold up a drain: its streams end as they should, and its successor takes over."""
    team.apply("single", spec(env=PACE))
    team.until_settled("single", replicas=1)
    requests = steady("single", count=20, per_second=100, output_tokens=TOKENS)
    client = Client(team, "client", urls=team.urls("single"), requests=requests)
    client.until_started()
    team.watch.until_told("all are sent", lambda: client.lines()[-1]["models"]["single"]["in_flight"] == len(requests))
    old = team.ready("single")
    evict(team, *old)
    team.until_ready("single", 1, without=old)
    result = client.result()
    assert (result["errors"], result["tokens"]) == ([], len(requests) * TOKENS)


def test_unready_pods_do_not_hold_up_a_drain(team: Tenant) -> None:
    """Engines that are still starting may be evicted all at once, though the budget has none to spare."""
    team.apply("starting", spec(replicas=2, env=[{"name": "SIM_STARTUP_SECONDS", "value": "600"}]))
    team.watch.until(
        "two pods run", lambda: [p["status"]["phase"] for p in team.pods("starting")] == ["Running", "Running"]
    )
    old = {pod["metadata"]["name"] for pod in team.pods("starting")}
    for pod in old:
        evict(team, pod)
    team.watch.until("both are replaced", lambda: not old & {pod["metadata"]["name"] for pod in team.pods("starting")})


def evict(team: Tenant, pod: str) -> None:
    """Ask for one pod's eviction."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": team.namespace}}
    path = f"/api/v1/namespaces/{team.namespace}/pods/{pod}/eviction"
    team.cluster.api.request("POST", path, body=body)
