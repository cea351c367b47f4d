"""From `kubectl apply` to an answer, and to nothing left."""

import base64
import json

import pytest

from tests.node.stories.tenant import MODEL, Client, Tenant, spec, steady
from tests.node.stories.watching import is_ready

pytestmark = pytest.mark.node


def test_create(team: Tenant) -> None:
    """A short object becomes Ready, answers through its Service's name, and its status says so."""
    team.apply("chat", spec())
    team.until_settled("chat", replicas=1)
    status = team.status("chat")
    assert status["ready"] == "1/1"
    assert status["url"] == f"http://chat.{team.namespace}.svc:8000/v1"
    assert status["gpuProfile"] == "sim"
    assert status["engine"]["version"] == "0.32.0"
    assert status["engine"]["startupSeconds"] >= 0
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Ready": "True",
        "Available": "True",
        "Progressing": "False",
        "SpecValid": "True",
        "ScalingActive": "False",
    }
    assert all(c["observedGeneration"] == 1 for c in status["conditions"])
    requests = steady("chat", count=3, per_second=5, output_tokens=8)
    result = Client(team, "client", urls=team.urls("chat"), requests=requests).result()
    assert (result["requests"], result["errors"], result["tokens"]) == (3, [], 24)
    columns = team.kubectl("get", "llm", "chat").splitlines()[1].split()
    assert columns[:3] == ["chat", MODEL, "1/1"]
    assert "Available" in columns
    assert "Available" in team.kubectl("describe", "llm", "chat").split("Events:")[1]


def test_api_key(team: Tenant) -> None:
    """With a key in a Secret, requests without it are refused; the warm-up still gets through."""
    key = base64.b64encode(b"correct-horse").decode()
    metadata = {"name": "key", "namespace": team.namespace}
    team.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"api-key": key}})
    team.apply("closed", spec(access={"apiKeySecretRef": {"name": "key", "key": "api-key"}}))
    team.until_settled("closed", replicas=1)
    requests = steady("closed", count=1, per_second=1, output_tokens=4)
    client = Client(team, "client", urls=team.urls("closed"), requests=requests)
    team.watch.until("the client runs", lambda: is_ready(team.watch.state.get(("Pod", client.name), {})))
    pod = team.ready("closed")[0]
    argv = json.dumps(team.cluster.get("pod", pod, namespace=team.namespace))
    assert "correct-horse" not in argv
    ask = (
        "import urllib.request as u, urllib.error as e, json\n"
        f"url = '{team.urls('closed')['closed']}/completions'\n"
        "body = json.dumps({'model': 'closed', 'prompt': 'a', 'max_tokens': 1}).encode()\n"
        "def status(headers):\n"
        "    try: return u.urlopen(u.Request(url, body, {'Content-Type': 'application/json', **headers})).status\n"
        "    except e.HTTPError as error: return error.code\n"
        "bearer = lambda key: {'Authorization': f'Bearer {key}'}\n"
        "print(status({}), status(bearer('wrong')), status(bearer('correct-horse')))"
    )
    assert team.kubectl("exec", client.name, "--", "python3", "-c", ask).split() == ["401", "401", "200"]


@pytest.mark.thorough
def test_model_on_a_claim(team: Tenant) -> None:
    """A model directory on a PersistentVolumeClaim is mounted read-only and served under the object's name."""
    volumes = team.cluster.folder / "volumes"
    if not volumes.is_dir():
        pytest.skip("needs a hostPath volume on the node: only on an own node")
    folder = volumes / team.namespace
    (folder / "qwen" / "3-8b").mkdir(parents=True)
    name = team.namespace
    team.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadOnlyMany"],
                "storageClassName": name,
                "hostPath": {"path": str(folder)},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "models", "namespace": team.namespace},
            "spec": {
                "accessModes": ["ReadOnlyMany"],
                "storageClassName": name,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        },
    )
    team.apply("local", spec(model={"source": "pvc://models/qwen/3-8b"}))
    team.until_settled("local", replicas=1)
    requests = steady("local", count=1, per_second=1, output_tokens=4)
    assert Client(team, "client", urls=team.urls("local"), requests=requests).result()["errors"] == []


@pytest.mark.thorough
def test_suspend_and_resume(team: Tenant) -> None:
    """Suspended: no pods, everything else stays; resumed: as before."""
    team.apply("paused", spec())
    team.until_settled("paused", replicas=1)
    team.apply("paused", spec(suspend=True))
    team.watch.until("no pods", lambda: not team.pods("paused"))
    team.watch.until("Suspended", lambda: team.condition("paused", "Ready").get("reason") == "Suspended")
    assert ("Service", "paused") in team.watch.state
    team.apply("paused", spec())
    team.until_settled("paused", replicas=1)


def test_delete(team: Tenant) -> None:
    """Nothing stays, and nothing holds the object up: there is no finalizer."""
    team.apply("gone", spec())
    team.until_settled("gone", replicas=1)
    assert "finalizers" not in team.object("gone")["metadata"]
    team.kubectl("delete", "llm", "gone")
    mine = ("LLMDeployment", "Deployment", "ReplicaSet", "Pod", "Service", "PodDisruptionBudget")
    team.watch.until("everything is gone", lambda: not any(team.watch.objects(kind) for kind in mine))
