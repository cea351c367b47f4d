"""The values of Secrets reach the engine's environment, and nothing that anybody can read beside."""

import json
import sys

import pytest

from tests.cluster import Node
from tests.node.stories.site import NAMESPACE
from tests.node.stories.tenant import Tenant, spec

pytestmark = pytest.mark.node

CANARIES = {"api-key": "canary-api-key-2f6a90c1", "token": "canary-hub-token-7d3be548"}
ARGV = "import pathlib; print([p.read_bytes() for p in pathlib.Path('/proc').glob('[0-9]*/cmdline')])"


def test_secrets_show_nowhere(team: Tenant) -> None:
    """Neither in objects, Events, logs of engine and operator, their metrics, nor in the argv of any process."""
    meta = {"name": "canaries", "namespace": team.namespace}
    team.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": CANARIES})
    references = {
        "access": {"apiKeySecretRef": {"name": "canaries", "key": "api-key"}},
        "model": {"source": "Qwen/Qwen3-8B", "tokenSecretRef": {"name": "canaries", "key": "token"}},
        "engine": {"extraArgs": ["--generation-config=$(VLLM_API_KEY)"]},
    }
    team.apply("quiet", spec(**references))
    team.until_settled("quiet", replicas=1)
    shown = everything(team)
    assert "quiet" in shown["objects"]
    assert "--generation-config" in shown["objects"]
    found = {(place, name) for place, text in shown.items() for name, value in CANARIES.items() if value in text}
    assert found == set()


def everything(team: Tenant) -> dict[str, str]:
    """All that is to be seen of an object by those who may not read Secrets."""
    cluster = team.cluster
    names = cluster.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    kinds = ",".join(name for name in names if name != "secrets" and "metrics" not in name)
    shown = {"objects": json.dumps(json.loads(team.kubectl("get", kinds, "-o", "json", "--show-managed-fields")))}
    operators = [(NAMESPACE, pod["metadata"]["name"], 8080) for pod in cluster.select("pods", namespace=NAMESPACE)]
    engines = [(team.namespace, name, 8000) for name in team.ready("quiet")]
    assert engines
    for namespace, name, port in (*operators, *engines):
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        shown[f"log of {name}"] = cluster.api.text(f"{path}/log")
        shown[f"metrics of {name}"] = cluster.api.text(f"{path}:{port}/proxy/metrics")
    if isinstance(cluster, Node):
        shown["argv"] = cluster.run(sys.executable, "-c", ARGV)
    return shown
