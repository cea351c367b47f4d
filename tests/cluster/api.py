"""Requests to an API server over connections that stay open.

kubectl is what people use, and tests that speak of people use it. But each call of it is a process that takes a tenth
of a CPU second and more, and a test asks hundreds of times whether something has happened yet.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import config

APPLY = "application/apply-patch+yaml"
JSON = "application/json"
AGENT = "test-library"
"""User agent: none that the audit log could take for the operator's."""
_FIRST_ERROR = 400
_NOT_FOUND = 404


class ApiError(RuntimeError):
    """The API server refused, or cannot be reached.

    Attributes:
        status: of HTTP; 0 if there was no answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Resource:
    """Where objects of a kind live."""

    kind: str
    plural: str
    group: str = "api/v1"
    is_namespaced: bool = True

    def path(self, *, namespace: str = "", name: str = "") -> str:
        """URL path of an object, of all in a namespace, or of all."""
        scope = ["namespaces", namespace] if self.is_namespaced and namespace else []
        return "/" + "/".join(part for part in (self.group, *scope, self.plural, name) if part)


RESOURCES = (
    Resource("LLMDeployment", "llmdeployments", "apis/serving.llmfleet.io/v1alpha1"),
    Resource("Deployment", "deployments", "apis/apps/v1"),
    Resource("ReplicaSet", "replicasets", "apis/apps/v1"),
    Resource("StatefulSet", "statefulsets", "apis/apps/v1"),
    Resource("PodDisruptionBudget", "poddisruptionbudgets", "apis/policy/v1"),
    Resource("HorizontalPodAutoscaler", "horizontalpodautoscalers", "apis/autoscaling/v2"),
    Resource("ScaledObject", "scaledobjects", "apis/keda.sh/v1alpha1"),
    Resource("NetworkPolicy", "networkpolicies", "apis/networking.k8s.io/v1"),
    Resource("Lease", "leases", "apis/coordination.k8s.io/v1"),
    Resource("EndpointSlice", "endpointslices", "apis/discovery.k8s.io/v1"),
    Resource("APIService", "apiservices", "apis/apiregistration.k8s.io/v1", is_namespaced=False),
    Resource(
        "CustomResourceDefinition", "customresourcedefinitions", "apis/apiextensions.k8s.io/v1", is_namespaced=False
    ),
    Resource("Pod", "pods"),
    Resource("Service", "services"),
    Resource("ServiceAccount", "serviceaccounts"),
    Resource("ConfigMap", "configmaps"),
    Resource("Secret", "secrets"),
    Resource("Event", "events"),
    Resource("PersistentVolumeClaim", "persistentvolumeclaims"),
    Resource("PersistentVolume", "persistentvolumes", is_namespaced=False),
    Resource("Namespace", "namespaces", is_namespaced=False),
    Resource("Node", "nodes", is_namespaced=False),
)
_SHORT = {
    "llm": "llmdeployments",
    "pdb": "poddisruptionbudgets",
    "hpa": "horizontalpodautoscalers",
    "crd": "customresourcedefinitions",
}


def resource(name: str) -> Resource:
    """By kind, plural, singular or short name.

    Raises:
        LookupError: it is not among those that tests use so far.
    """
    wanted = _SHORT.get(name, name)
    for found in RESOURCES:
        if wanted in {found.kind, found.plural, found.kind.lower()}:
            return found
    raise LookupError(f"{name} is not in {__name__}.RESOURCES: add it")


class Api:
    """One API server with the credentials of a kubeconfig. May be used by several threads."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))
        self._client.configuration.retries = False
        self._host = self._client.configuration.host

    def get(self, path: str, **query: str) -> Any:
        """The parsed answer.

        Raises:
            ApiError: as `request`.
        """
        return json.loads(self.request("GET", path, query=query).data)

    def text(self, path: str) -> str:
        """The answer as it is.

        Raises:
            ApiError: as `request`.
        """
        return str(self.request("GET", path).data.decode())

    def apply(self, manifest: Mapping[str, Any], *, namespace: str, manager: str = "kubectl") -> Any:
        """Server-side apply, as strict as kubectl's; the object as it is stored.

        Raises:
            ApiError: as `request`.
        """
        found, meta = resource(manifest["kind"]), manifest["metadata"]
        path = found.path(namespace=meta.get("namespace", namespace), name=meta["name"])
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return json.loads(self.request("PATCH", path, body=manifest, content_type=APPLY, query=query).data)

    def watch(self, path: str) -> "Watch":
        """Everything that is there, then each change.

        Raises:
            ApiError: as `request`.
        """
        query = {"watch": "true", "timeoutSeconds": "600"}
        return Watch(self.request("GET", path, query=query, is_stream=True))

    def answers(self, path: str) -> bool:
        """Whether there is such a thing, and somebody who says so."""
        try:
            self.request("GET", path)
        except ApiError:
            return False
        return True

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
        is_stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """One request.

        Raises:
            ApiError: the answer is a refusal, or there is none.
        """
        url = self._host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": JSON, "Content-Type": content_type, "User-Agent": AGENT}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        timeout = urllib3.Timeout(connect=30, read=None if is_stream else 60)
        data = None if body is None else json.dumps(body)
        try:
            answer: urllib3.BaseHTTPResponse = self._client.rest_client.pool_manager.request(
                method, url, body=data, headers=headers, timeout=timeout, preload_content=not is_stream, retries=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        if answer.status >= _FIRST_ERROR:
            raise ApiError(answer.status, f"{method} {path}: {_message(answer.data)}")
        return answer

    def close(self) -> None:
        """End the connections."""
        self._client.rest_client.close()


class Watch:
    """The events of a watch, of those that are there as ADDED, until the API server or `stop` ends it."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer
        self._is_stopped = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rest = b""
        try:
            for chunk in self._answer.stream(amt=None):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(json.loads, lines)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(0, f"the watch broke off: {error}") from error
        except ValueError:
            if not self._is_stopped:  # after `stop` the last bytes may come as they stood on the wire, encrypted
                raise
        finally:
            self._answer.close()

    def stop(self) -> None:
        """End it from another thread than that which reads it."""
        self._is_stopped = True
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # it has ended already
            self._answer.shutdown()


def is_absent(error: ApiError) -> bool:
    """Whether there is no such object, or no such kind."""
    return error.status == _NOT_FOUND


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")[:500]
