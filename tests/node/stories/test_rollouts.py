"""Each field of the spec that pods depend on makes exactly one rollout when it changes; the others make none."""

from typing import Any

import pytest

from llmfleet.api import crd
from tests.crd.cases import merged
from tests.crd.schema_walk import spec_constraints
from tests.node.stories.site import OLD_ENGINE
from tests.node.stories.tenant import FAST, Tenant, spec

pytestmark = pytest.mark.node

ROLLS: dict[str, dict[str, Any]] = {
    "model.source": {"model": {"source": "Qwen/Qwen3-4B"}},
    "model.revision": {"model": {"revision": "9c925d64d72725edaf899c6cb9c377fd0709d9c5"}},
    "model.trustRemoteCode": {"model": {"trustRemoteCode": True}},
    "model.servedNames": {"model": {"servedNames": ["walk", "alias"]}},
    "model.tokenSecretRef": {"model": {"tokenSecretRef": {"name": "token", "key": "token"}}},
    "engine.image": {"engine": {"image": OLD_ENGINE}},
    "engine.dtype": {"engine": {"image": "", "dtype": "bfloat16"}},
    "engine.quantization": {"engine": {"quantization": "fp8"}},
    "engine.gpuMemoryUtilization": {"engine": {"gpuMemoryUtilization": 0.92}},
    "engine.maxModelLen": {"engine": {"maxModelLen": 4096}},
    "engine.maxNumSeqs": {"engine": {"maxNumSeqs": 64}},
    "engine.maxNumBatchedTokens": {"engine": {"maxNumBatchedTokens": 4096}},
    "engine.extraArgs": {"engine": {"extraArgs": ["--seed", "7"]}},
    "engine.env": {"engine": {"env": [*FAST, {"name": "SIM_TIME_SCALE", "value": "2"}]}},
    "gpu.profile": {"gpu": {"profile": "sim-spot"}},
    "gpu.tensorParallelSize": {"gpu": {"tensorParallelSize": 2}},
    "resources": {"resources": {"requests": {"cpu": "6m", "memory": "49Mi"}, "limits": {"memory": "1025Mi"}}},
    "startup.timeoutSeconds": {"startup": {"timeoutSeconds": 600}},
    "startup.warmup": {"startup": {"warmup": False}},
    "drain.timeoutSeconds": {"drain": {"timeoutSeconds": 31}},
    "access.apiKeySecretRef": {"access": {"apiKeySecretRef": {"name": "token", "key": "token"}}},
}
"""In this order, each on top of those before."""
FEATURES: dict[str, dict[str, Any]] = {
    "engine.kvCacheDtype": {"engine": {"kvCacheDtype": "fp8"}},
    "engine.prefixCaching": {"engine": {"prefixCaching": False}},
    "engine.chunkedPrefill": {"engine": {"chunkedPrefill": True}},
    "engine.speculative": {"engine": {"speculative": {"method": "ngram", "numSpeculativeTokens": 4}}},
    "engine.toolCallParser": {"engine": {"toolCallParser": "hermes"}},
    "engine.reasoningParser": {"engine": {"reasoningParser": "qwen3"}},
    "engine.chatTemplate": {"engine": {"chatTemplate": {"name": "templates", "key": "a.jinja"}}},
    "engine.lora": {"engine": {"lora": {"adapters": [{"name": "sql", "source": "team/sql"}]}}},
    "engine.loadFormat": {"engine": {"loadFormat": "safetensors"}},
    "gpu.pipelineParallelSize": {"gpu": {"pipelineParallelSize": 2}},
    "model.s3": {"model": {"source": "s3://bucket/qwen", "s3": {"region": "eu-west-1"}}},
    "cache": {"cache": {"size": "1Gi", "perReplica": True, "storageClassName": "fast"}},
}
"""The same for the engine's features and for what pods mount."""
NOT_HERE = {"engine.lora", "cache"}
"""What starts no pod here: sim-engine refuses adapters, and nobody makes the volumes. Golden files show these."""
ROLLS_NOT: dict[str, dict[str, Any]] = {
    "replicas": {"replicas": 2},
    "scaling": {"scaling": {"minReplicas": 2, "maxReplicas": 3}},
    "scaling.targets": {"scaling": {"maxReplicas": 3, "targets": {"utilizationPercent": 75, "ttftSeconds": 4}}},
    "scaling.idleToZeroSeconds": {"scaling": {"minReplicas": 2, "maxReplicas": 3, "idleToZeroSeconds": 700}},
    "scaling.mode": {"scaling": {"mode": "HPA", "minReplicas": 2, "maxReplicas": 3}},
    "model.architecture": {"model": {"architecture": "Qwen/Qwen3-8B"}},
    "rollout": {"rollout": {"maxSurge": 2, "maxUnavailable": 1}},
    "access.networkPolicy": {"access": {"networkPolicy": {"from": [{"podSelector": {}}]}}},
    "suspend": {"suspend": True},
}


def test_every_field_is_in_one_of_the_tables() -> None:
    """A field that is added later must say whether it rolls."""
    walked = {".".join(c.path[1:]) for c in spec_constraints(crd.document()) if len(c.path) > 1}
    known = tuple({**ROLLS, **FEATURES, **ROLLS_NOT})
    assert [path for path in sorted(walked) if "." in path and not path.startswith(known)] == []


PARTS = {
    "first half": dict(list(ROLLS.items())[: len(ROLLS) // 2]),
    "second half": dict(list(ROLLS.items())[len(ROLLS) // 2 :]),
    "features": {field: change for field, change in FEATURES.items() if field not in NOT_HERE},
}


@pytest.mark.long
@pytest.mark.parametrize(
    "part", ["first half", *(pytest.param(p, marks=pytest.mark.thorough) for p in list(PARTS)[1:])]
)
def test_each_field_makes_exactly_one_rollout(team: Tenant, part: str) -> None:
    """Counted by ReplicaSets; the pod of each is ready before the next change."""
    for kind, name, data in (
        ("Secret", "token", {"stringData": {"token": "x"}}),
        ("ConfigMap", "templates", {"data": {"a.jinja": "{{ messages }}"}}),
    ):
        meta = {"name": name, "namespace": team.namespace}
        team.cluster.apply({"apiVersion": "v1", "kind": kind, "metadata": meta} | data)
    wanted = spec()
    team.apply("walk", wanted)
    team.until_settled("walk", replicas=1)
    rollouts = {}
    for field, change in PARTS[part].items():
        before = team.replica_sets("walk")
        wanted = merged(wanted, change)
        old = team.ready("walk")
        team.apply("walk", wanted)
        team.until_ready("walk", 1, without=old)
        rollouts[field] = len(team.replica_sets("walk") - before)
    assert rollouts == dict.fromkeys(PARTS[part], 1)


def test_replicas_scaling_and_strategy_make_no_rollout(team: Tenant) -> None:
    """What only moves replicas, or says how a later rollout goes, leaves the pods alone."""
    wanted = spec()
    team.apply("calm", wanted)
    team.until_settled("calm", replicas=1)
    for change in ROLLS_NOT.values():
        wanted = merged(wanted, change)
        team.apply("calm", wanted)
        team.until_applied("calm")
    team.watch.until("suspended", lambda: not team.pods("calm"))
    assert len(team.replica_sets("calm")) == 1
