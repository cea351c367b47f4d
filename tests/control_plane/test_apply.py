"""How children are made on a real API server: in one request each, never over somebody else's; and how a pod goes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from kubernetes.aio import config

from llmfleet.api.conditions import Reason
from llmfleet.controller.apply import Applier
from llmfleet.controller.cache import Cache
from llmfleet.controller.occupancy import Occupancy
from llmfleet.controller.plan import plan
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import ConflictError, GoneError, InvalidError
from llmfleet.kube.resources import PODS
from llmfleet.manifests.deployment import has_template_hash
from tests.cluster import ControlPlane
from tests.cluster.audit import count
from tests.control_plane.operator_process import install_crd, llm, now, until, writes
from tests.unit.controller.bodies import desired_of, manifests_of, observed

pytestmark = pytest.mark.control_plane


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane() as started:
        install_crd(started)
        yield started


@dataclass
class Hand:
    """An Applier, and the objects whose children it makes."""

    control_plane: ControlPlane
    cluster: Cluster
    applier: Applier

    async def make(self, name: str, **spec: Any) -> None:
        """All children of a new object, as in its first pass."""
        await asyncio.to_thread(self.control_plane.apply, llm(name, **spec))
        target = await asyncio.to_thread(self.control_plane.get, "llm", name)
        found = plan(desired_of(target), observed(target), now=0.0)
        await self.applier.apply(found, manifests_of(target))
        await self.applier.apply(replace(found, steps=found.later), manifests_of(target))

    def live(self, kind: str, name: str) -> Any:
        return self.control_plane.get(kind, name)


@pytest.fixture
async def hand(control_plane: ControlPlane) -> AsyncIterator[Hand]:
    async with await config.new_client_from_config(str(control_plane.kubeconfig)) as api:
        api.configuration.client_session_kwargs = {"trust_env": False}
        cluster = Cluster(api, may_write=lambda: True)
        yield Hand(control_plane, cluster, Applier(cluster, Cache(), Occupancy(cluster)))


async def test_a_child_costs_one_write(hand: Hand) -> None:
    since = now()
    await hand.make("lean")
    assert count(writes(hand.control_plane, since=since)) == {
        "patch services": 1,
        "patch poddisruptionbudgets": 1,
        "patch deployments": 1,
    }
    assert has_template_hash(hand.live("deployment", "lean"))


async def test_a_template_that_is_stored_in_another_form_gets_its_hash_and_no_rollout(hand: Hand) -> None:
    await hand.make("rounded", resources={"requests": {"cpu": "0.50", "memory": "1024Mi"}})
    live = hand.live("deployment", "rounded")
    assert has_template_hash(live)
    until(lambda: is_observed(hand.live("deployment", "rounded")), what="its controller has seen it")
    assert len(hand.control_plane.select("replicasets", labels="llmfleet.io/deployment=rounded")) == 1


def is_observed(live: Any) -> bool:
    return bool(live.get("status", {}).get("observedGeneration", 0) >= live["metadata"]["generation"])


@pytest.mark.parametrize("kind", ["service", "poddisruptionbudget", "deployment"])
async def test_what_somebody_made_after_the_lists_is_not_taken_over(hand: Hand, kind: str) -> None:
    """The lists say that the name is free, but nothing is created by force: the conflict tells."""
    await hand.make(f"before-{kind}")  # makes the lists
    name = f"late-{kind}"
    words = {
        "service": ("create", "service", "clusterip", name, "--tcp=80"),
        "poddisruptionbudget": ("create", "poddisruptionbudget", name, "--selector=app=x", "--min-available=1"),
        "deployment": ("create", "deployment", name, "--image=busybox", "--replicas=0"),
    }
    await asyncio.to_thread(hand.control_plane.kubectl, *words[kind])
    before = hand.live(kind, name)
    with pytest.raises(InvalidError) as raised:
        await hand.make(name)
    assert raised.value.reason is Reason.NAME_CONFLICT
    after = hand.live(kind, name)
    assert (after["spec"], after["metadata"].get("ownerReferences")) == (before["spec"], None)


async def test_a_child_of_ours_that_lost_its_label_gets_it_back(hand: Hand) -> None:
    await hand.make("bare")
    await asyncio.to_thread(hand.control_plane.kubectl, "label", "service", "bare", "llmfleet.io/deployment-")
    await hand.make("bare")
    assert hand.live("service", "bare")["metadata"]["labels"]["llmfleet.io/deployment"] == "bare"


async def test_a_pod_is_deleted_only_as_it_was_seen_and_gets_the_grace_that_is_given(hand: Hand) -> None:
    """The API server checks uid and version itself: what was made anew, or changed, since it was seen is left alone."""
    make = ("run", "hung", "--image=busybox", "--restart=Never", "--overrides", json.dumps(LONG_GRACE))
    await asyncio.to_thread(hand.control_plane.kubectl, *make)
    seen = hand.live("pod", "hung")["metadata"]
    await asyncio.to_thread(hand.control_plane.kubectl, "annotate", "pod", "hung", "changed=1")
    meta = hand.live("pod", "hung")["metadata"]
    for uid, version in (("another", meta["resourceVersion"]), (meta["uid"], seen["resourceVersion"])):
        with pytest.raises(ConflictError):
            await hand.cluster.delete(PODS, "default", "hung", uid=uid, version=version, grace=15)
    assert "deletionTimestamp" not in hand.live("pod", "hung")["metadata"]
    await hand.cluster.delete(PODS, "default", "hung", uid=meta["uid"], version=meta["resourceVersion"], grace=15)
    assert hand.live("pod", "hung")["metadata"]["deletionGracePeriodSeconds"] == 15
    with pytest.raises(GoneError):
        await hand.cluster.delete(PODS, "default", "nobody", uid="1", version="1", grace=15)


LONG_GRACE = {"spec": {"nodeName": "somewhere", "terminationGracePeriodSeconds": 600}}
"""Bound to a node, so that it waits for its kubelet to end it."""
