"""A mistake is named in the status, the pods that serve keep serving, and the corrected spec goes through."""

from typing import Any

import pytest

from tests.crd.cases import merged
from tests.node.stories.tenant import Client, Tenant, spec, steady

pytestmark = pytest.mark.node

UNKNOWN: dict[str, Any] = {"model": {"source": "team/unknown"}}
"""A model whose shape nobody knows: its mistakes are found by the engine only."""
MISTAKES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "bad-image": (
        {"engine": {"image": "localhost/llmfleet/no-such-image:v0.32.0"}},
        "Progressing",
        "ImageUnusable",
        "no-such-image",
    ),
    "too-many-gpus-for-the-cluster": (
        UNKNOWN | {"gpu": {"tensorParallelSize": 64}},
        "Progressing",
        "Unschedulable",
        "nvidia.com/gpu",
    ),
    "image-not-allowed": (
        {"engine": {"image": "example.com/miner:1"}},
        "SpecValid",
        "ImageNotAllowed",
        "example.com/miner:1",
    ),
    "no-such-profile": ({"gpu": {"profile": "h900"}}, "SpecValid", "ProfileNotFound", "h900"),
    "abbreviated-flag": ({"engine": {"extraArgs": ["--tensor-par", "4"]}}, "SpecValid", "Forbidden", "--tensor-par"),
    "missing-secret": (
        {"access": {"apiKeySecretRef": {"name": "nowhere", "key": "x"}}},
        "Progressing",
        "ConfigurationMissing",
        "nowhere",
    ),
    "longer-than-the-model": (
        UNKNOWN | {"engine": {"maxModelLen": 200000}},
        "SpecValid",
        "ContextTooLong",
        "derived max_model_len",
    ),
    "longer-than-a-known-model": (
        {"engine": {"maxModelLen": 200000}},
        "SpecValid",
        "ContextTooLong",
        "set it to 131072 or less",
    ),
}


BRIEFLY = ("bad-image", "too-many-gpus-for-the-cluster", "image-not-allowed")


@pytest.mark.parametrize(
    "mistake", [pytest.param(name, marks=[] if name in BRIEFLY else pytest.mark.thorough) for name in MISTAKES]
)
def test_mistake(team: Tenant, mistake: str) -> None:
    """Named in words; the old pod serves on; the correction needs no other step."""
    change, kind, reason, words = MISTAKES[mistake]
    team.apply("model", spec())
    team.until_settled("model", replicas=1)
    serving = team.ready("model")
    team.apply("model", merged(spec(), change))

    def is_named() -> bool:
        said = team.condition("model", kind)
        return said.get("reason") == reason and words in said["message"]

    team.watch.until(f"{kind} says {reason} with {words}", is_named, timeout=90)
    assert team.ready("model") == serving
    requests = steady("model", count=2, per_second=5, output_tokens=4)
    assert Client(team, "client", urls=team.urls("model"), requests=requests).result()["errors"] == []
    team.apply("model", merged(spec(), {"engine": {"maxNumSeqs": 32}}))
    team.until_ready("model", 1, without=serving)
    assert team.condition("model", "SpecValid")["status"] == "True"


@pytest.mark.thorough
def test_a_foreign_object_is_not_taken_over(team: Tenant) -> None:
    """Somebody's Service has the name: it stays his, and the status says so."""
    ports = [{"port": 80}]
    metadata = {"name": "shop", "namespace": team.namespace}
    team.cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}})
    team.apply("shop", spec())
    team.watch.until("NameConflict", lambda: team.condition("shop", "SpecValid").get("reason") == "NameConflict")
    assert team.cluster.get("service", "shop", namespace=team.namespace)["spec"]["ports"][0]["port"] == 80
    team.kubectl("delete", "service", "shop")
    team.until_settled("shop", replicas=1)
