"""What every story of an autoscaler outside the operator does: load comes, sight is lost, sight comes back."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tests.node.stories.tenant import Client, Tenant, spec, steady

MOST = 3
BOUNDS = {"minReplicas": 1, "maxReplicas": MOST, "scaleDownDelaySeconds": 4}
_ENGINE = {"maxModelLen": 2048, "extraArgs": ["--num-gpu-blocks-override", "256"]}
_SLOW = {"name": "SIM_TIME_SCALE", "value": "0.15"}


def small(**changes: Any) -> dict[str, Any]:
    """A spec whose engine is full with five requests of `load`, each of which takes some seven seconds."""
    engine, env = changes.pop("engine", {}), changes.pop("env", [])
    drain = {"timeoutSeconds": 120}  # the queue of a replica that goes is longer than half a minute
    return spec(engine=_ENGINE | engine, env=[_SLOW, *env], drain=drain, **changes)


def load(team: Tenant, name: str, *, seconds: int = 15) -> Client:
    """As much as three replicas can hold."""
    requests = steady(name, count=2 * seconds, per_second=2, input_tokens=600, output_tokens=200)
    return Client(team, "load", urls=team.urls(name), requests=requests)


def up_blind_and_down(
    team: Tenant,
    name: str,
    *,
    blinded: Callable[[], object],
    restored: Callable[[], object],
    is_held: Callable[[], bool],
) -> None:
    """Load makes replicas; without metrics none goes, although the load does; with metrics they go.

    Args:
        team: where it is.
        name: an LLMDeployment of `small` with one replica, whoever scales it.
        blinded: takes the metrics away.
        restored: gives them back.
        is_held: whether the autoscaler says that it has no metrics.
    """
    team.until_settled(name, replicas=1)
    client = load(team, name)
    team.until_ready(name, MOST)
    blinded()
    began = len(team.watch.history)
    team.watch.until("the autoscaler says that it is blind", is_held)
    errors = client.result()["errors"]
    assert not errors, errors
    team.watch.during(8, lambda: bool(taken(team, name, began)), "a replica was taken away without metrics")
    restored()
    team.until_ready(name, 1)
    assert len(team.replica_sets(name)) == 1


def taken(team: Tenant, name: str, began: int) -> set[str]:
    """Pods of its that were told to end since the watch had so many events."""
    return {
        event.name
        for event in team.watch.history[began:]
        if event.kind == "Pod"
        and event.body["metadata"].get("labels", {}).get("llmfleet.io/deployment") == name
        and "deletionTimestamp" in event.body["metadata"]
    }


def metrics(team: Tenant, name: str, *, are_on: bool) -> None:
    """Turn the metrics of every engine on or off."""
    for pod in team.ready(name):
        team.fault(pod, "clear" if are_on else "metrics=off")


def autoscaler(team: Tenant, name: str, condition: str = "ScalingActive") -> dict[str, Any]:
    """A condition of a HorizontalPodAutoscaler as last seen; empty if there is none."""
    found = team.watch.state.get(("HorizontalPodAutoscaler", name), {}).get("status", {}).get("conditions", [])
    return next((item for item in found if item["type"] == condition), {})


def until_active(team: Tenant, name: str) -> None:
    """Wait until the status says that replicas follow the load, in whatever mode was applied last."""
    team.until_applied(name)
    team.watch.until(f"{name} scales", lambda: team.condition(name, "ScalingActive").get("status") == "True")


@contextlib.contextmanager
def unmoved(team: Tenant, name: str) -> Iterator[None]:
    """With load for as many replicas as there may be, in mode Builtin: whatever is done inside, they stay."""
    team.apply(name, small(scaling=BOUNDS))
    team.until_settled(name, replicas=1)
    load(team, name, seconds=45)
    team.until_ready(name, MOST)
    began = len(team.watch.history)
    yield
    team.watch.during(5, lambda: bool(taken(team, name, began)), "replicas went")
    wanted = {event.body["spec"]["replicas"] for event in team.watch.history[began:] if event.kind == "LLMDeployment"}
    assert wanted == {MOST}
