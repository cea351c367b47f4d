"""What the API server's answers mean for a pass, asked of a server that gives such answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client
from prometheus_client import REGISTRY

from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import (
    ConflictError,
    DeniedError,
    GoneError,
    InvalidError,
    NotLeaderError,
    TransientError,
)
from llmfleet.kube.resources import DEPLOYMENTS, LLMS, PODS, SERVICES

MANIFEST = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "qwen", "namespace": "team"}}
RBAC = 'services "qwen" is forbidden: User "x" cannot patch resource "services" in API group ""'
QUOTA = 'services "qwen" is forbidden: exceeded quota: none, requested: services=1'


class Answers:
    """A server that gives one answer to everything, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body: bytes = b"{}"
        self.headers: dict[str, str] = {}
        self.asked: list[web.Request] = []
        self.bodies: list[Any] = []

    def refuse(self, status: int, message: str, **headers: str) -> None:
        self.status, self.body = status, json.dumps({"kind": "Status", "message": message}).encode()
        self.headers = headers

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        text = await request.text()
        self.bodies.append(json.loads(text) if text else None)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def cluster(answers: Answers) -> AsyncIterator[Cluster]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answers.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with client.ApiClient(configuration=client.Configuration(host=host)) as api:
        yield Cluster(api, may_write=lambda: True)
    await runner.cleanup()


TABLE = [
    (404, "not found", GoneError),
    (409, "the object has been modified", ConflictError),
    (422, "spec.replicas: must not be negative", InvalidError),
    (400, "unknown field", InvalidError),
    (403, QUOTA, InvalidError),
    (403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', InvalidError),
    (403, RBAC, DeniedError),
    (401, "Unauthorized", DeniedError),
    (429, "slow down", TransientError),
    (500, "etcdserver: request timed out", TransientError),
    (503, "apiserver is shutting down", TransientError),
]


@pytest.mark.parametrize(("status", "message", "kind"), TABLE)
async def test_refusals(cluster: Cluster, answers: Answers, status: int, message: str, kind: type[Exception]) -> None:
    answers.refuse(status, message)
    with pytest.raises(kind) as raised:
        await cluster.apply(MANIFEST)
    assert type(raised.value) is kind
    assert message in str(raised.value)


def test_what_passes_by_itself_is_not_told_to_the_user() -> None:
    assert DeniedError("no right").is_worth_telling
    assert not ConflictError("changed").is_worth_telling
    assert not NotLeaderError("no Lease").is_worth_telling


async def test_the_wait_that_is_asked_for_is_passed_on(cluster: Cluster, answers: Answers) -> None:
    answers.refuse(429, "slow down", **{"Retry-After": "7"})
    with pytest.raises(TransientError) as raised:
        await cluster.apply(MANIFEST)
    assert raised.value.retry_after == 7.0
    assert not raised.value.is_worth_telling


async def test_a_page_of_some_proxy_is_an_answer_too(cluster: Cluster, answers: Answers) -> None:
    answers.status, answers.body = 502, b"<html>Bad Gateway</html>"
    with pytest.raises(TransientError, match="Bad Gateway"):
        await cluster.apply(MANIFEST)


async def test_nobody_there_is_transient() -> None:
    async with client.ApiClient(configuration=client.Configuration(host="http://127.0.0.1:1")) as api:
        with pytest.raises(TransientError, match="cannot be reached"):
            await Cluster(api, may_write=lambda: True).get(SERVICES, "team", "qwen")


async def test_without_the_lease_nothing_is_sent(cluster: Cluster, answers: Answers) -> None:
    cluster._may_write = lambda: False
    calls = (
        cluster.apply(MANIFEST),
        cluster.apply(MANIFEST, dry_run=True),
        cluster.apply_status("team", "qwen", uid="1", status={}),
        cluster.scale("team", "qwen", replicas=1, version="1"),
        cluster.set_deletion_cost("team", "qwen-1", uid="1", cost=-1),
        cluster.delete(PODS, "team", "qwen-1", uid="1", version="7", grace=15),
        cluster.create_event({"metadata": {"namespace": "team"}}),
    )
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, NotLeaderError)
    assert answers.asked == []


async def test_apply_is_forced_named_and_bound_to_the_object_that_is_meant(cluster: Cluster, answers: Answers) -> None:
    await cluster.apply(MANIFEST, uid="1")
    request = answers.asked[0]
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/team/services/qwen")
    assert dict(request.query) == {"fieldManager": "llmfleet", "force": "true"}
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.headers["User-Agent"].startswith("llmfleet/")
    assert answers.bodies[0]["metadata"]["uid"] == "1"
    assert "uid" not in MANIFEST["metadata"]


async def test_what_is_new_is_applied_without_force(cluster: Cluster, answers: Answers) -> None:
    await cluster.apply(MANIFEST, force=False)
    assert dict(answers.asked[0].query) == {"fieldManager": "llmfleet"}


async def test_scale_is_written_by_the_autoscaler_on_what_was_read(cluster: Cluster, answers: Answers) -> None:
    await cluster.scale("team", "qwen", replicas=3, version="77")
    assert answers.asked[0].path == f"/{LLMS.api}/namespaces/team/llmdeployments/qwen/scale"
    assert answers.asked[0].query["fieldManager"] == "llmfleet-autoscaler"
    assert answers.bodies[0] == {"metadata": {"resourceVersion": "77"}, "spec": {"replicas": 3}}


async def test_a_pod_is_deleted_only_as_it_was_seen(cluster: Cluster, answers: Answers) -> None:
    await cluster.delete(PODS, "team", "qwen-1", uid="1", version="77", grace=15)
    assert (answers.asked[0].method, answers.asked[0].path) == ("DELETE", "/api/v1/namespaces/team/pods/qwen-1")
    body = answers.bodies[0]
    assert body["preconditions"] == {"uid": "1", "resourceVersion": "77"}
    assert body["gracePeriodSeconds"] == 15


async def test_a_status_of_an_object_that_is_gone_is_no_error(cluster: Cluster, answers: Answers) -> None:
    answers.refuse(404, "not found")
    assert await cluster.apply_status("team", "qwen", uid="1", status={}) is None
    assert await cluster.get(DEPLOYMENTS, "team", "qwen") is None


async def test_writes_are_counted_and_dry_runs_are_not(cluster: Cluster) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("llmfleet_api_writes_total", {"verb": "apply", "resource": "services"}) or 0.0

    before = counted()
    await cluster.apply(MANIFEST)
    await cluster.apply(MANIFEST, dry_run=True)
    assert counted() == before + 1


async def test_a_list_is_of_metadata_only(cluster: Cluster, answers: Answers) -> None:
    answers.body = json.dumps({"items": [{"metadata": {"uid": "1"}}]}).encode()
    assert await cluster.metadata(PODS) == [{"uid": "1"}]
    answers.body = b'{"items": null}'
    assert await cluster.metadata(PODS) == []
    assert "PartialObjectMetadataList" in answers.asked[0].headers["Accept"]
    assert answers.asked[0].path_qs == "/api/v1/pods"
