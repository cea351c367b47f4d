"""The API server: the only module, beside the leader election, that talks to it. No decisions here.

Every write asks first whether this process may write (it holds the Lease), is counted, and carries what makes it
harmless when the world has moved on: server-side apply of own fields only, the uid of the object that is meant, the
resourceVersion where a number is based on what was read.
Answers are plain dicts. Requests go out as JSON through the client's transport: its models would copy each body twice.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

from llmfleet import __version__
from llmfleet.kube import metrics
from llmfleet.kube.errors import (
    ConflictError,
    DeniedError,
    GoneError,
    InvalidError,
    NotLeaderError,
    TransientError,
    VersionGoneError,
)
from llmfleet.kube.pods import DELETION_COST
from llmfleet.kube.resources import CHILDREN, CONFIG_MAPS, EVENTS, LLMS, PODS, Resource
from llmfleet.manifests.names import FIELD_MANAGER
from llmfleet.process.settings import SettingsError
from llmfleet.scaling.state import MANAGER as AUTOSCALER

USER_AGENT = f"llmfleet/{__version__}"
TIMEOUT = 30.0
"""Seconds for one request."""
ERRORS = 400
"""Where HTTP's errors begin."""

Api = client.ApiClient
Body = dict[str, Any]

_APPLY, _MERGE, _JSON = "application/apply-patch+yaml", "application/merge-patch+json", "application/json"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


async def connect() -> Api:
    """A client with the credentials of $KUBECONFIG (or ~/.kube/config), or of the pod.

    Raises:
        SettingsError: neither can be used.
    """
    settings = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)
    except config.ConfigException:
        try:
            await config.load_kube_config(client_configuration=settings)
        except config.ConfigException as error:
            raise SettingsError(f"no pod's service account, and no kubeconfig: {error}; set KUBECONFIG") from error
    settings.connection_pool_maxsize = 0  # no limit: watches keep theirs, the work queue and the autoscaler have limits
    settings.client_session_kwargs = {"trust_env": False}  # else it looks for ~/.netrc, in a thread, at each request
    api = client.ApiClient(configuration=settings)
    api.user_agent = USER_AGENT
    return api


class Cluster:
    """Reads and writes of the operator."""

    def __init__(self, api: Api, *, may_write: Callable[[], bool]) -> None:
        self._api = api
        self._may_write = may_write

    async def serves(self, resource: Resource) -> bool:
        """Whether the API server knows this resource: the CRD is installed."""
        try:
            answer = await self._call("GET", f"/{resource.api}")
        except GoneError:
            return False
        return any(item["name"] == resource.plural for item in answer["resources"])

    async def get(self, resource: Resource, namespace: str, name: str) -> Body | None:
        """One object, live; None if there is none."""
        try:
            return await self._call("GET", resource.path(namespace, name))
        except GoneError:
            return None

    async def list_all(
        self, resource: Resource, *, namespace: str = "", selector: str = "", name: str = ""
    ) -> tuple[list[Body], str]:
        """What is there, in one namespace or in all, and the version from which a watch goes on."""
        answer = await self._call("GET", resource.path(namespace), query=_selected(selector, name))
        return answer["items"] or [], answer["metadata"]["resourceVersion"]

    async def watch(
        self,
        resource: Resource,
        *,
        namespace: str,
        selector: str,
        version: str,
        seconds: int,
        silence: float,
        name: str = "",
    ) -> AsyncIterator[tuple[str, Body]]:
        """Each change since a version, as ADDED, MODIFIED, DELETED or BOOKMARK and the body, until the watch ends.

        Args:
            resource: of what.
            namespace: where; empty: everywhere.
            selector: of labels.
            version: from which on.
            seconds: after which the API server ends the watch.
            silence: seconds without a byte after which the connection counts as dead, which ends the watch too.
            name: of the one object that is watched; empty: all.

        Raises:
            VersionGoneError: the changes since that version are no longer known.
            TransientError: the API server cannot be reached, or refuses.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        query |= _selected(selector, name) | {"timeoutSeconds": str(seconds)}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=silence)
        try:
            answer = await self._request("GET", resource.path(namespace), query=query, limits=limits)
            async with answer.response:
                if answer.status >= ERRORS:
                    _refuse(answer.status, await answer.read(), answer.headers.get("Retry-After"))
                async for line in answer.response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        _refuse(event["object"].get("code", 500), json.dumps(event["object"]).encode(), None)
                    yield event["type"], event["object"]
        except aiohttp.SocketTimeoutError:
            return
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise TransientError(f"the watch broke off: {str(error) or type(error).__name__}") from error

    async def metadata(self, resource: Resource, *, namespace: str = "") -> list[Body]:
        """The metadata of what is there, in one namespace or in all."""
        answer = await self._call("GET", resource.path(namespace), accept=_METADATA_ONLY)
        return [item["metadata"] for item in answer["items"] or []]  # null if there are none

    async def apply(self, manifest: Body, *, uid: str = "", force: bool = True, dry_run: bool = False) -> Body:
        """Server-side apply of the operator's own fields.

        Args:
            manifest: the child.
            uid: of the object that is meant; with it, nothing is created.
            force: take fields that others have set to other values; without it, that is a conflict.
            dry_run: only ask what would be stored.

        Raises:
            ConflictError: the object is another one than meant, or others have set fields of it.
            InvalidError: the API server refuses the manifest, or a quota does.
        """
        resource, meta = CHILDREN[manifest["kind"]], manifest["metadata"]
        body = manifest if not uid else manifest | {"metadata": meta | {"uid": uid}}
        options = ({"force": "true"} if force else {}) | ({"dryRun": "All"} if dry_run else {})
        query = {"fieldManager": FIELD_MANAGER} | options
        path = resource.path(meta["namespace"], meta["name"])
        return await self._write("apply", resource, path, method="PATCH", body=body, query=query, content=_APPLY)

    async def apply_status(self, namespace: str, name: str, *, uid: str, status: Body) -> Body | None:
        """Write the status of an LLMDeployment; None if the object is gone."""
        meta = {"namespace": namespace, "name": name, "uid": uid}
        body = {"apiVersion": LLMS.api_version, "kind": LLMS.kind, "metadata": meta, "status": status}
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        path = LLMS.path(namespace, name, "status")
        try:
            return await self._write("apply", LLMS, path, method="PATCH", body=body, query=query, content=_APPLY)
        except GoneError:
            return None

    async def apply_config_map(self, manifest: Body) -> None:
        """Server-side apply of the activators' ports, the only ConfigMap of the operator's."""
        meta, query = manifest["metadata"], {"fieldManager": FIELD_MANAGER, "force": "true"}
        path = CONFIG_MAPS.path(meta["namespace"], meta["name"])
        await self._write("apply", CONFIG_MAPS, path, method="PATCH", body=manifest, query=query, content=_APPLY)

    async def scale(self, namespace: str, name: str, *, replicas: int, version: str) -> None:
        """Write spec.replicas through /scale, if the object is still the one that was read.

        Raises:
            ConflictError: somebody changed the object since.
        """
        body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}}
        query = {"fieldManager": AUTOSCALER}
        path = LLMS.path(namespace, name, "scale")
        await self._write("scale", LLMS, path, method="PATCH", body=body, query=query, content=_MERGE)

    async def set_deletion_cost(self, namespace: str, name: str, *, uid: str, cost: int) -> None:
        """Say how gladly a pod would be missed: the lowest cost goes first when replicas are taken away."""
        body = {"metadata": {"uid": uid, "annotations": {DELETION_COST: str(cost)}}}
        query = {"fieldManager": AUTOSCALER}
        path = PODS.path(namespace, name)
        await self._write("patch", PODS, path, method="PATCH", body=body, query=query, content=_MERGE)

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, version: str, grace: int | None = None
    ) -> None:
        """Delete an object, if it is still as it was read; `grace` is the seconds that a pod gets to end.

        Raises:
            ConflictError: it is another one, or changed since.
            GoneError: there is none.
        """
        preconditions = {"uid": uid, "resourceVersion": version}
        body: Body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        body |= {} if grace is None else {"gracePeriodSeconds": grace}
        path = resource.path(namespace, name)
        await self._write("delete", resource, path, method="DELETE", body=body, query={}, content=_JSON)

    async def create_event(self, event: Body) -> None:
        """Post an Event."""
        path = EVENTS.path(event["metadata"]["namespace"])
        await self._write("create", EVENTS, path, method="POST", body=event, query={}, content=_JSON)

    async def _write(
        self, verb: str, resource: Resource, path: str, *, method: str, body: Body, query: dict[str, str], content: str
    ) -> Body:
        if not self._may_write():
            raise NotLeaderError("this process does not hold the Lease")
        if "dryRun" not in query:
            metrics.API_WRITES.labels(verb, resource.plural).inc()
        return await self._call(method, path, query=query, body=body, content=content)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Body | None = None,
        content: str = _JSON,
        accept: str = _JSON,
    ) -> Body:
        """One request and its answer; what went wrong, as one of the errors of this package."""
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._request(method, path, query=query, body=body, content=content, accept=accept)
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"the API server cannot be reached: {str(error) or type(error).__name__}") from error
        if answer.status >= ERRORS:
            _refuse(answer.status, text, answer.headers.get("Retry-After"))
        parsed: Body = json.loads(text)
        return parsed

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None,
        body: Body | None = None,
        content: str = _JSON,
        accept: str = _JSON,
        limits: aiohttp.ClientTimeout | None = None,
    ) -> Any:
        """One request; the answer as the client's transport gives it, once its head is there."""
        url = self._api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": accept, "Content-Type": content, "User-Agent": USER_AGENT}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        return await self._api.rest_client.request(method, url, headers=headers, body=body, _request_timeout=limits)


def _selected(selector: str, name: str = "") -> dict[str, str]:
    """By labels, by name, or both; the right to one name alone is given only to who asks for that name."""
    by_name = {"fieldSelector": f"metadata.name={name}"} if name else {}
    return by_name | ({"labelSelector": selector} if selector else {})


def _refuse(status: int, text: bytes, retry_after: str | None) -> NoReturn:
    """Raise what an HTTP error means for a pass."""
    try:
        message = str(json.loads(text).get("message", ""))
    except (ValueError, AttributeError):
        message = text[:200].decode(errors="replace")
    match status:
        case 404:
            raise GoneError(message)
        case 409:
            raise ConflictError(message)
        case 410:
            raise VersionGoneError(message)
        case 400 | 413 | 415 | 422:
            raise InvalidError(message)
        case 403 if _is_policy(message):
            raise InvalidError(message)
        case 401 | 403:
            raise DeniedError(f"the operator lacks a right: {message}")
        case _:
            wait = float(retry_after) if retry_after and retry_after.isdigit() else None
            raise TransientError(f"the API server answers {status}: {message}", retry_after=wait)


def _is_policy(message: str) -> bool:
    """Whether a 403 comes from a quota or an admission rule, not from missing rights: RBAC always names the verb."""
    return " cannot " not in message
