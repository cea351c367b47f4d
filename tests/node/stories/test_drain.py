"""A node is drained by `kubectl drain` while clients stream. It takes no pods meanwhile, so no story runs beside."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.node.stories import operators
from tests.node.stories.tenant import Client, Tenant, spec, steady
from tests.node.stories.watching import is_ready

pytestmark = [pytest.mark.node, pytest.mark.alone]

PACE = [{"name": "SIM_TIME_SCALE", "value": "0.07"}]
"""Ten tokens a second."""
ENGINES, OPERATOR = "llmfleet.io/deployment=moving", "app.kubernetes.io/name=llmfleet-operator"


@contextlib.contextmanager
def drained(cluster: Cluster, node: str, *selectors: str) -> Iterator[None]:
    """Drain a node of the pods that a label selects, as an administrator does; usable again afterwards."""
    try:
        for selector in selectors:
            options = ["--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s"]
            cluster.kubectl("drain", node, f"--pod-selector={selector}", *options, timeout=260)
        yield
    finally:
        cluster.kubectl("uncordon", node)


def fewest_ready(team: Tenant, name: str, *, since: int) -> int:
    """The fewest of its pods that were ready at a time, from that entry of the record on."""
    state: dict[str, bool] = {}
    counts = []
    for number, event in enumerate(team.watch.history):
        if event.kind == "Pod" and event.body["metadata"].get("labels", {}).get("llmfleet.io/deployment") == name:
            state[event.name] = event.type != "DELETED" and is_ready(event.body)
            counts += [sum(state.values())] if number >= since else []
    return min(counts)


def test_drain_cuts_no_stream(cluster: Cluster, team: Tenant) -> None:
    """Operator and engines leave the node one at a time, as their budgets say; every stream ends as it should.

    Their pods may be put on a cordoned node, since there is no other: what the drain puts out comes back beside it.
    """
    team.apply("moving", spec(env=PACE, replicas=2, gpu={"profile": "sim-cordoned"}))
    team.until_settled("moving", replicas=2)
    before, operator = team.ready("moving"), operators.pods(cluster)
    node = team.pods("moving")[0]["spec"]["nodeName"]
    requests = steady("moving", count=8, per_second=8, output_tokens=50)
    client = Client(team, "client", urls=team.urls("moving"), requests=requests, lap_s=1)
    client.until_started()
    began = len(team.watch.history)
    with drained(cluster, node, OPERATOR, ENGINES):
        team.until_ready("moving", 2, without=[p for p in before if _was_on(team, p, node)])
        operators.until_led_by_others(cluster, operator)
    result = client.stop()
    assert result["errors"] == []
    assert result["requests"] >= 100
    assert fewest_ready(team, "moving", since=began) >= 1


def _was_on(team: Tenant, pod: str, node: str) -> bool:
    return any(
        event.name == pod and event.body["spec"].get("nodeName") == node
        for event in team.watch.history
        if event.kind == "Pod"
    )
