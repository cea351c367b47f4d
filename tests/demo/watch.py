"""What the demo reads while the trace runs: the objects, the leading operator's metrics, the client's log."""

import json
import subprocess
import threading
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.api import ApiError
from tests.cluster.cluster import Cluster
from tests.demo.manifests import NAMESPACE, RELEASE_NAMESPACE

_PREFIX = "llmfleet_"


def objects(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """The LLMDeployments by name."""
    return {item["metadata"]["name"]: item for item in cluster.select("llm", namespace=NAMESPACE)}


def operator_metrics(cluster: Cluster) -> dict[str, dict[str, float]]:
    """The leader's figures by object; empty while there is no leader that can be asked."""
    try:
        lease = cluster.select("lease", namespace=RELEASE_NAMESPACE)[0]
        leader = lease["spec"]["holderIdentity"].split("_")[0]
        text = cluster.api.text(f"/api/v1/namespaces/{RELEASE_NAMESPACE}/pods/{leader}:8080/proxy/metrics")
    except (ApiError, LookupError):
        return {}
    return by_object(text)


def by_object(page: str) -> dict[str, dict[str, float]]:
    """The samples of a metrics page that belong to one object of the demo: object name -> metric name -> value."""
    result: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if family.name.startswith(_PREFIX) and sample.labels.get("namespace") == NAMESPACE:
                result.setdefault(sample.labels["name"], {})[sample.name] = sample.value
    return result


class ClientLog:
    """Follows the client's log in the background and keeps its last report and its end."""

    def __init__(self, cluster: Cluster) -> None:
        self.first_answers: list[str] = []
        self.report: dict[str, Any] = {}
        self.end: dict[str, Any] | None = None
        self.failure: str | None = None
        argv = ["kubectl", "logs", "--follow", "--namespace", NAMESPACE, "client"]
        self._process = subprocess.Popen(
            argv, env=cluster.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            try:
                said = json.loads(line)
            except ValueError:
                self.failure = f"{self.failure or ''}{line}"[-2000:]
                continue
            match said["event"]:
                case "first-answer":
                    self.first_answers.append(said["model"])
                case "report":
                    self.report = said
                case "end":
                    self.end = said
                case "no-answer":
                    self.failure = f"{said['model']} gave no answer: {said['error']}"

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Stop following."""
        self._process.kill()
        self._thread.join()
