"""One story with real engines in real pods: a model on a volume, an answer through the Service, a second replica, one.

Everything is what a user has: the chart, an LLMDeployment with a profile without a device, the image `vllm-cpu`, and a
PersistentVolumeClaim with the model.
"""

import http.client
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import Node, images, processes
from tests.engine import environment, pod, tiny_model
from tests.engine.client import Client
from tests.node.stories import site
from tests.node.stories.tenant import Tenant, tenant
from tests.node.test_node import volume

pytestmark = [pytest.mark.node, pytest.mark.timeout(1500)]

CLAIM = "models"
START_SECONDS = 600.0
"""Longest start of an engine beside another one that works."""
CLIENTS = 6
SEQUENCES = 2
ANSWER = 1200
SCALING = {"minReplicas": 1, "maxReplicas": 2, "targets": {"waitingPerReplica": 1}, "scaleDownDelaySeconds": 20}
PROFILE = {
    "name": "cpu",
    "default": True,
    "resourceName": "",
    "memoryGiB": 16,
    "resources": {"requests": {"cpu": "100m", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "5Gi"}},
}
"""One core each: a busy engine takes both of a small machine, and a second one was seen to start for ten minutes."""


def wanted() -> dict[str, Any]:
    """A tiny model from a claim; two requests at a time, so that a third one waits."""
    # A share of the container's 5 GiB, of which the worker itself takes half a GiB.
    engine = {"maxModelLen": tiny_model.CONTEXT, "maxNumSeqs": SEQUENCES, "gpuMemoryUtilization": 0.3}
    return pod.spec(engine=engine, scaling=SCALING, drain={"timeoutSeconds": 30}, gpu={"profile": "cpu"})


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """A node with the operator and the real engine's image."""
    archives = [images.archive(images.OPERATOR), environment.image()]
    engine = {"defaultImage": environment.IMAGE, "allowedImages": [], "imagePullPolicy": "IfNotPresent"}
    with Node(gpus=0) as node:
        for archive in archives:
            node.load_image(archive)
        site.install(node, extra=site.values(engine=engine, gpuProfiles=[PROFILE]))
        yield node


@pytest.fixture
def team(node: Node) -> Iterator[Tenant]:
    """A namespace with the claim, on a folder of the node that holds the model."""
    folder = node.volumes / CLAIM
    tiny_model.write(folder / pod.NAME)
    with tenant(node, "real-engines") as team:
        node.apply(*volume(CLAIM, folder), namespace=team.namespace)
        yield team


class Load:
    """Clients that ask without end until they are told to stop, and what they got."""

    def __init__(self, port: int) -> None:
        self.whole = 0
        self.cut: list[str] = []
        self._port = port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                stream = Client(self._port).stream(tokens=ANSWER)
                rest = stream.rest()
                stream.close()
            except (OSError, http.client.HTTPException) as error:
                rest = (0, False)
                self.cut.append(repr(error))
            if rest == (ANSWER, True):
                self.whole += 1
            else:
                self.cut.append(f"{rest[0]} of {ANSWER} tokens")

    def stop(self) -> None:
        """Let what runs come to its end."""
        self._over.set()
        for thread in self._threads:
            thread.join()


def test_a_real_fleet_answers_grows_under_load_and_shrinks(node: Node, team: Tenant) -> None:
    """An answer through the Service; requests that wait bring a second real engine, and rest takes it away uncut."""
    team.apply(pod.NAME, wanted())
    team.until_ready(pod.NAME, 1, timeout=START_SECONDS)
    client = Client(node.forward(f"{pod.NAME}.{team.namespace}.svc", 8000))
    chat = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
    processes.wait_until("the Service", client.listening, timeout=30)
    status, answer = client.post("/v1/chat/completions", chat)
    assert (status, answer["model"], answer["usage"]["completion_tokens"]) == (200, pod.NAME, 5)
    assert client.get("/version")[1] == {"version": environment.VERSION}
    card = client.get("/v1/models")[1]["data"][0]
    assert (card["root"], card["max_model_len"]) == (f"/model/{pod.NAME}", tiny_model.CONTEXT)

    load = Load(client.port)
    try:
        team.until_ready(pod.NAME, 2, timeout=START_SECONDS)
    finally:
        load.stop()
    assert load.cut == []
    assert load.whole > CLIENTS

    team.until_settled(pod.NAME, replicas=1, timeout=180)
    history = team.status(pod.NAME)["scaling"]["history"]
    assert [(change["from"], change["to"]) for change in history] == [(2, 1), (1, 2)]
    assert client.post("/v1/chat/completions", chat)[0] == 200
    print(
        f"{load.whole} whole answers of {ANSWER} tokens, none cut", *(change["message"] for change in history), sep="\n"
    )
