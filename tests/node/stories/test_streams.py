"""No stream is cut on rollout, scale-down and eviction: 0 of at least 200 in each story."""

import pytest

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
    for pod in team.ready("evicted"):
        evict(team, pod)
        team.until_ready("evicted", 2, without=[pod])
    nothing_was_cut(client)


def evict(team: Tenant, pod: str) -> None:
    """Ask for one pod's eviction."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": team.namespace}}
    path = f"/api/v1/namespaces/{team.namespace}/pods/{pod}/eviction"
    team.cluster.api.request("POST", path, body=body)
