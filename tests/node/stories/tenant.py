"""One story's namespace, and what a person does in it."""

import contextlib
import json
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import images
from tests.cluster.api import ApiError
from tests.cluster.cluster import Cluster
from tests.demo import client as demo_client
from tests.node.stories.watching import Watch, is_ready

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
"""Of the size that the simulated engine has."""
STORY = {"llmfleet.io/made-by": "stories"}
"""Label of every namespace that stories make."""
_STOP = "/tmp/stop"  # noqa: S108 - in the client's container
FAST = [{"name": "SIM_STARTUP_SECONDS", "value": "0"}, {"name": "SIM_CONTROL", "value": "1"}]


def spec(**changes: Any) -> dict[str, Any]:
    """A short spec: an engine that starts at once; `env` is added to the engine's."""
    env = [*FAST, *changes.pop("env", [])]
    engine = {"maxModelLen": 8192, "env": list({item["name"]: item for item in env}.values())}
    base = {"model": {"source": MODEL}, "engine": engine, "drain": {"timeoutSeconds": 30}}
    return base | changes | {"engine": engine | changes.get("engine", {})}


class Tenant:
    """A namespace under the restricted Pod Security profile, watched from its first moment."""

    def __init__(self, cluster: Cluster, namespace: str, watch: Watch) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.watch = watch
        self._generations: dict[str, int] = {}

    def apply(self, name: str, wanted: dict[str, Any]) -> None:
        """Apply an LLMDeployment, as kubectl does; what is waited for afterwards is of this generation."""
        body = {
            "apiVersion": "serving.llmfleet.io/v1alpha1",
            "kind": "LLMDeployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": wanted,
        }
        self._generations[name] = self.cluster.apply(body)[0]["metadata"]["generation"]

    def scale(self, name: str, replicas: int) -> None:
        """`kubectl scale`."""
        self.kubectl("scale", f"llm/{name}", f"--replicas={replicas}")
        self._generations[name] = self.cluster.get("llm", name, namespace=self.namespace)["metadata"]["generation"]

    def kubectl(self, *args: str, **options: Any) -> str:
        """Kubectl in this namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *args, **options)

    def object(self, name: str) -> dict[str, Any]:
        """The LLMDeployment as last seen."""
        return self.watch.state.get(("LLMDeployment", name), {})

    def status(self, name: str) -> dict[str, Any]:
        """Its status as last seen."""
        status: dict[str, Any] = self.object(name).get("status", {})
        return status

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """One of its conditions as last seen; empty if there is none."""
        found = (c for c in self.status(name).get("conditions", []) if c["type"] == kind)
        return next(found, {})

    def pods(self, name: str) -> list[dict[str, Any]]:
        """Its pods, those on their way out too."""
        return [
            pod
            for pod in self.watch.objects("Pod")
            if pod["metadata"].get("labels", {}).get("llmfleet.io/deployment") == name
        ]

    def ready(self, name: str) -> list[str]:
        """Names of its pods that take requests."""
        return [pod["metadata"]["name"] for pod in self.pods(name) if is_ready(pod)]

    def replica_sets(self, name: str) -> set[str]:
        """Every ReplicaSet that it has ever had since the watch began: one for each rollout."""
        return {
            event.name
            for event in self.watch.history
            if event.kind == "ReplicaSet"
            and event.body["metadata"].get("labels", {}).get("llmfleet.io/deployment") == name
        }

    def engines(self, name: str) -> dict[str, int]:
        """What a restart or a rollout would change: restarts by pod, and the number of ReplicaSets that there were."""
        restarts = {
            pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in self.pods(name)
        }
        return restarts | {"replica sets": len(self.replica_sets(name))}

    def is_applied(self, name: str) -> bool:
        """Whether the status speaks of what was applied last."""
        return bool(self.status(name).get("observedGeneration", 0) >= self._generations.get(name, 1))

    def is_ready(self, name: str) -> bool:
        """Whether what was applied last is ready; pods of an earlier spec may still drain."""
        return self.is_applied(name) and self.condition(name, "Ready").get("status") == "True"

    def is_settled(self, name: str) -> bool:
        """Whether everything wanted is ready and nothing else is left."""
        return self.is_ready(name) and len(self.pods(name)) == self.status(name).get("readyReplicas")

    def until_applied(self, name: str) -> None:
        """Wait until the operator has seen what was applied last."""
        self.watch.until(f"{name} is applied", lambda: self.is_applied(name))

    def until_ready(self, name: str, replicas: int, *, without: Collection[str] = (), timeout: float = 120.0) -> None:
        """Wait for that many pods that take requests, none of them among `without`."""
        self.watch.until(
            f"{replicas} ready pods of {name}, none of {list(without)}",
            lambda: self.is_ready(name) and len(self.ready(name)) == replicas and not {*without} & {*self.ready(name)},
            timeout=timeout,
        )

    def until_pods(self, name: str, count: int) -> None:
        """Wait until it has that many pods, those on their way out counted."""
        self.watch.until(f"{count} pods of {name}", lambda: len(self.pods(name)) == count)

    def until_settled(self, name: str, *, replicas: int | None = None, timeout: float = 120.0) -> None:
        """Wait for that; with `replicas`, also for that many ready pods."""
        self.watch.until(
            f"{name} settled with {replicas if replicas is not None else 'all'} replicas",
            lambda: self.is_settled(name) and replicas in {None, len(self.ready(name))},
            timeout=timeout,
        )

    def fault(self, pod: str, text: str) -> None:
        """Make one engine fail: see images/sim-engine/README.md."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}:8000/proxy/sim/fault"
        self.cluster.api.request("POST", path, body={"fault": text})

    def metric(self, pod: str, name: str) -> float:
        """The sum of one metric on an engine's page."""
        page = self.cluster.api.text(f"/api/v1/namespaces/{self.namespace}/pods/{pod}:8000/proxy/metrics")
        families = text_string_to_metric_families(page)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)

    def until_running(self, *pods: str) -> None:
        """Wait until each of these engines works on a request: one that is stopped while idle shows nothing of it."""
        self.watch.until_told(
            f"requests run on {list(pods)}",
            lambda: all(self.metric(pod, "vllm:num_requests_running") for pod in pods),
        )

    def until_served(self, pod: str, count: int) -> None:
        """Wait until an engine has answered so many requests."""
        self.watch.until_told(
            f"{pod} has answered {count}", lambda: self.metric(pod, "vllm:request_success_total") >= count
        )

    def urls(self, *names: str) -> dict[str, str]:
        """Served name -> the URL that its Service has in the cluster."""
        return {name: f"http://{name}.{self.namespace}.svc:8000/v1" for name in names}


class Client:
    """A pod that sends streaming requests through a Service and counts what was cut; see tests/demo/client.py."""

    def __init__(
        self,
        tenant: Tenant,
        name: str,
        *,
        urls: dict[str, str],
        requests: list[dict[str, Any]],
        lap_s: float | None = None,
    ) -> None:
        """Start it.

        Args:
            tenant: whose namespace it runs in.
            name: of the pod.
            urls: served name -> URL.
            requests: see `steady`.
            lap_s: send them again every so many seconds, until `stop`.
        """
        self.tenant = tenant
        self.name = name
        endless = {"lap_s": lap_s, "until": _STOP} if lap_s else {}
        files = {
            "client.py": Path(demo_client.__file__).read_text(),
            "plan.json": json.dumps({"urls": urls, "requests": requests, **endless}),
        }
        container = {
            "name": "client",
            "image": images.SIM_ENGINE,
            "command": ["python3", "/client/client.py", "/client/plan.json"],
            "volumeMounts": [{"name": "files", "mountPath": "/client"}],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        metadata = {"name": name, "namespace": tenant.namespace}
        pod = {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "runAsUser": 2000, "seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [{"name": "files", "configMap": {"name": name}}],
        }
        tenant.cluster.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files},
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        )

    def lines(self) -> list[dict[str, Any]]:
        """What it has said so far."""
        path = f"/api/v1/namespaces/{self.tenant.namespace}/pods/{self.name}/log"
        with contextlib.suppress(ApiError):  # it has not started yet
            return [json.loads(line) for line in self.tenant.cluster.api.text(path).splitlines()]
        return []

    def until_started(self) -> None:
        """Wait for the first answer of every model."""
        self._until(lambda lines: any(line["event"] == "report" for line in lines), "sends requests", 120)

    def stop(self) -> dict[str, Any]:
        """Let one that goes on for ever send no more, and wait for its last answers: see `result`."""
        self.tenant.kubectl("exec", self.name, "--", "python3", "-c", f"open('{_STOP}', 'w')")
        return self.result()

    def result(self, *, timeout: float = 240.0) -> dict[str, Any]:
        """Wait for its end: requests, errors, ttft, tokens."""
        self._until(lambda lines: bool(lines) and lines[-1]["event"] in {"end", "no-answer"}, "has ended", timeout)
        return self.lines()[-1]

    def _until(self, reached: Any, what: str, timeout: float) -> None:
        self.tenant.watch.until_told(f"client {self.name} {what}", lambda: reached(self.lines()), timeout=timeout)


def steady(
    model: str, *, count: int, per_second: float, output_tokens: int, input_tokens: int = 64
) -> list[dict[str, Any]]:
    """That many requests at equal distances."""
    return [
        {"arrival_s": i / per_second, "input_tokens": input_tokens, "output_tokens": output_tokens, "model": model}
        for i in range(count)
    ]


@contextlib.contextmanager
def tenant(cluster: Cluster, story: str, *, profile: str = "restricted") -> Iterator[Tenant]:
    """A namespace for one story, under that Pod Security profile; removed afterwards."""
    namespace = f"{story[:40]}-{uuid.uuid4().hex[:5]}"
    labels = {"pod-security.kubernetes.io/enforce": profile, **STORY}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    with Watch(cluster, namespace) as watch:
        try:
            yield Tenant(cluster, namespace, watch)
        finally:
            if cluster.find("namespace", namespace):
                cluster.api.request("DELETE", f"/api/v1/namespaces/{namespace}")
