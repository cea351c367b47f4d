"""Replicas follow the load and the person, and never fall on missing metrics."""

import pytest

from tests.node.stories.site import OLD_ENGINE
from tests.node.stories.tenant import Client, Tenant, spec, steady

pytestmark = pytest.mark.node

SLOW = [{"name": "SIM_PROFILE", "value": "l4-8b"}]
SCALING = {"minReplicas": 1, "maxReplicas": 4, "scaleDownDelaySeconds": 8}


def load(team: Tenant, name: str, *, seconds: int) -> Client:
    """More than one L4 can hold in its KV cache: about a hundred sequences of a thousand tokens at a time."""
    requests = steady(name, count=4 * seconds, per_second=4, input_tokens=1000, output_tokens=100)
    return Client(team, "load", urls=team.urls(name), requests=requests)


def test_kubectl_scale(team: Tenant) -> None:
    """The scale subresource is the one place where replicas are decided."""
    team.apply("manual", spec())
    team.until_settled("manual", replicas=1)
    team.scale("manual", 3)
    team.until_settled("manual", replicas=3)
    team.scale("manual", 0)
    team.until_pods("manual", 0)
    team.scale("manual", 1)
    team.until_settled("manual", replicas=1)
    assert len(team.replica_sets("manual")) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    "image",
    [
        pytest.param("", id="kv_cache_usage_perc"),
        pytest.param(OLD_ENGINE, id="gpu_cache_usage_perc", marks=pytest.mark.thorough),
    ],
)
def test_load_up_and_load_gone(team: Tenant, image: str) -> None:
    """Load: more replicas. Load gone: fewer after the delay, and no request is lost on the way."""
    env = [*SLOW, {"name": "SIM_VLLM_VERSION", "value": "0.10.2"}] if image else SLOW
    drain = {"timeoutSeconds": 120}  # a request that waits in the queue of a full L4 takes longer than half a minute
    team.apply("auto", spec(env=env, scaling=SCALING, engine={"image": image}, drain=drain))
    team.until_settled("auto", replicas=1)
    client = load(team, "auto", seconds=30)
    team.watch.until("three replicas", lambda: len(team.ready("auto")) >= 3)
    scaling = team.status("auto")["scaling"]
    assert scaling["history"][-1]["from"] == 1
    assert scaling["lastScaleTime"]
    assert client.result()["errors"] == []
    team.until_ready("auto", 1, timeout=180)  # not settled: an old engine is given its whole drain time
    assert team.condition("auto", "ScalingActive")["status"] == "True"
    assert team.status("auto")["scaling"]["history"][0]["to"] < team.status("auto")["scaling"]["history"][0]["from"]
    assert len(team.replica_sets("auto")) == 1


@pytest.mark.thorough
def test_bounds_hold_whatever_is_written(team: Tenant) -> None:
    """A person's wish outside the bounds is clamped, not argued with."""
    team.apply("bounded", spec(scaling=SCALING | {"minReplicas": 2}))
    team.until_settled("bounded", replicas=2)
    team.scale("bounded", 9)
    team.watch.until("four pods", lambda: len(team.pods("bounded")) == 4)
    team.watch.during(3, lambda: len(team.pods("bounded")) > 4, "more pods than maxReplicas")


@pytest.mark.parametrize(
    "fault",
    [
        "metrics=off",
        pytest.param("metrics=nan", marks=pytest.mark.thorough),
        pytest.param("metrics=frozen", marks=pytest.mark.thorough),
    ],
)
def test_metrics_lost(team: Tenant, fault: str) -> None:
    """Without metrics nothing is taken away, and the reason says so.

    Requests are on their way meanwhile: of an idle engine nobody can say whether its counters are frozen.
    """
    slow = [{"name": "SIM_TIME_SCALE", "value": "0.1"}]
    scaling = SCALING | {"scaleDownDelaySeconds": 15}
    team.apply("blind", spec(scaling=scaling | {"minReplicas": 3}, env=slow))
    team.until_settled("blind", replicas=3)
    requests = steady("blind", count=30, per_second=15, output_tokens=1500)
    Client(team, "client", urls=team.urls("blind"), requests=requests).until_started()
    team.until_running(*team.ready("blind"))
    team.apply("blind", spec(scaling=scaling, env=slow, replicas=3))
    for pod in team.ready("blind"):
        team.fault(pod, fault)
    held = ("HeldMissingMetrics", "HeldStale")
    team.watch.until("held", lambda: team.condition("blind", "ScalingActive").get("reason") in held, timeout=60)
    team.watch.during(20, lambda: len(team.ready("blind")) < 3, "a replica was taken away without metrics")
    assert team.condition("blind", "Ready")["status"] == "True"
