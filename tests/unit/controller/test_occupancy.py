"""Who has a child's name: asked once for all names after a start, later for each, and never guessed."""

import asyncio
from typing import Any

import pytest

from llmfleet.api.conditions import Reason
from llmfleet.controller import occupancy
from llmfleet.controller.occupancy import Occupancy
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import ConflictError, InvalidError, TransientError
from tests.unit.controller.bodies import manifests_of
from tests.unit.kube.bodies import UID, llm_body

SERVICE, BUDGET, DEPLOYMENT = manifests_of(llm_body("qwen"))
NEIGHBOUR = manifests_of(llm_body("gemma"))[0]


class Names(Cluster):
    """A cluster that knows objects by kind and name, and remembers what it was asked."""

    def __init__(self, **services: dict[str, Any]) -> None:
        self.services = services
        self.asked: list[str] = []
        self.is_away = False

    async def metadata(self, resource: Any, *, namespace: str = "") -> list[dict[str, Any]]:
        self.asked.append(f"list {resource.plural} {namespace}".strip())
        await asyncio.sleep(0)
        if self.is_away:
            raise TransientError("the API server cannot be reached")
        return [body["metadata"] for body in self.services.values()] if resource.plural == "services" else []

    async def get(self, resource: Any, namespace: str, name: str) -> dict[str, Any] | None:
        self.asked.append(f"get {resource.plural} {namespace}/{name}")
        return self.services.get(name)


def owned_by(uid: str) -> dict[str, Any]:
    owner = {"kind": "LLMDeployment", "apiVersion": "serving.llmfleet.io/v1alpha1", "uid": uid, "controller": True}
    return {"metadata": {"namespace": "team", "name": "qwen", "uid": "live", "ownerReferences": [owner]}}


async def test_many_names_cost_one_list_of_each_kind() -> None:
    names = Names()
    found = Occupancy(names)
    await asyncio.gather(*(found.check(manifest) for manifest in (SERVICE, BUDGET, NEIGHBOUR, SERVICE)))
    assert names.asked == ["list services", "list poddisruptionbudgets"]


async def test_the_namespaces_of_an_operator_are_listed_one_by_one() -> None:
    names = Names()
    await Occupancy(names, ("team", "other")).check(SERVICE)
    assert names.asked == ["list services team", "list services other"]


async def test_a_name_in_the_list_is_looked_at() -> None:
    """Ours without its label may be applied to; somebody else's ends the pass with the way out."""
    await Occupancy(Names(qwen=owned_by(UID))).check(SERVICE)
    with pytest.raises(InvalidError, match="There is a Service qwen that does not belong") as raised:
        await Occupancy(Names(qwen=owned_by("another"))).check(SERVICE)
    assert raised.value.reason is Reason.NAME_CONFLICT


async def test_old_lists_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "LIST_LIFE", 0.01)
    names = Names()
    found = Occupancy(names)
    await found.check(SERVICE)
    names.services["qwen"] = owned_by("another")
    await asyncio.sleep(0.02)
    with pytest.raises(InvalidError):
        await found.check(SERVICE)
    await found.check(NEIGHBOUR)
    assert names.asked == ["list services", "get services team/qwen", "get services team/gemma"]


async def test_a_list_that_failed_is_made_again() -> None:
    """Each pass that waited for it fails, none of them goes on as if the name were free."""
    names = Names()
    found = Occupancy(names)
    names.is_away = True
    results = await asyncio.gather(found.check(SERVICE), found.check(NEIGHBOUR), return_exceptions=True)
    assert [type(result) for result in results] == [TransientError, TransientError]
    names.is_away = False
    await found.check(SERVICE)
    assert names.asked == ["list services", "list services"]


async def test_the_uid_of_an_object_that_is_gone_again() -> None:
    assert await Occupancy(Names(qwen=owned_by(UID))).uid_of_ours(SERVICE) == "live"
    with pytest.raises(ConflictError):
        await Occupancy(Names()).uid_of_ours(SERVICE)
