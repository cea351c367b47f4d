"""What a tenant may do, beside what stands in an LLMDeployment, to get at others, at the operator or around its rules.

Two tenants act in the namespace red. Mallory may write LLMDeployments and nothing else. Eve may do all that Kubernetes'
own role `edit` allows (pods, Deployments, Secrets of the namespace), LLMDeployments, and even their status. The object
`shop` in the namespace blue belongs to somebody else, `mine` in red to them. Each function tries one thing and fails
where it works; `test_attacks.py` runs them, `table.py` makes rows of their sentences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster import ControlPlane
from tests.cluster.api import Api, ApiError
from tests.control_plane.operator_process import Operator, until

LLMS = "/apis/serving.llmfleet.io/v1alpha1/namespaces/{}/llmdeployments"
DEPLOYMENTS = "/apis/apps/v1/namespaces/red/deployments"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
QUIET = 3.0
"""Seconds in which an operator that has a reason to write would have written."""
LABEL = "llmfleet.io/deployment"


@dataclass(frozen=True)
class Scene:
    """Who and what there is."""

    cluster: ControlPlane
    operator: Operator
    mallory: Api
    eve: Api

    def llm(self, name: str, *, namespace: str = "red") -> dict[str, Any]:
        """An LLMDeployment that is as it should be."""
        return {
            "apiVersion": "serving.llmfleet.io/v1alpha1",
            "kind": "LLMDeployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"model": {"source": "Qwen/Qwen3-8B"}},
        }

    def get(self, kind: str, name: str, *, namespace: str = "red") -> Any:
        return self.cluster.get(kind, name, namespace=namespace)

    def condition(self, name: str, kind: str, *, namespace: str = "red") -> dict[str, Any]:
        conditions = self.get("llm", name, namespace=namespace).get("status", {}).get("conditions", [])
        found: dict[str, Any] = next((c for c in conditions if c["type"] == kind), {})
        return found

    def serve(self, name: str) -> None:
        """An object of the tenants, with all its children."""
        self.mallory.request("POST", LLMS.format("red"), body=self.llm(name))
        until(lambda: self.cluster.find("deployment", name, namespace="red"), what=f"the children of {name}")
        until(lambda: self.condition(name, "Ready"), what=f"the status of {name}")

    def image(self, name: str) -> str:
        return str(self.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"])

    def still_works(self, name: str) -> None:
        """Others are served as before."""
        self.serve(name)


def refused(status: int, words: str, api: Api, method: str, path: str, **options: Any) -> None:
    """The API server does not do it, and says why."""
    with pytest.raises(ApiError) as raised:
        api.request(method, path, **options)
    assert raised.value.status == status
    assert words in str(raised.value)


@dataclass(frozen=True)
class Deed:
    """One row."""

    who: str
    what: str
    end: str
    act: Callable[[Scene], None]


def deed(
    rows: list[Deed], who: str, what: str, end: str
) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Make a row of a function."""

    def note(act: Callable[[Scene], None]) -> Callable[[Scene], None]:
        rows.append(Deed(who, what, end, act))
        return act

    return note


def make_pod(scene: Scene, name: str, *, labels: dict[str, str]) -> None:
    container = {
        "name": "engine",
        "image": "busybox",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 2000, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
    scene.eve.request("POST", "/api/v1/namespaces/red/pods", body=body)


def owned_service(name: str, uid: str) -> dict[str, Any]:
    owner = {
        "apiVersion": "serving.llmfleet.io/v1alpha1",
        "kind": "LLMDeployment",
        "name": name,
        "uid": uid,
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {LABEL: name}, "ownerReferences": [owner]},
        "spec": {"ports": [{"port": 80}]},
    }
