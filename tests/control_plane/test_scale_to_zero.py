"""Scale to zero on a real API server, with a real activator: who stands in the Service's endpoints, and when."""

import concurrent.futures
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster import ControlPlane
from tests.control_plane import identities
from tests.control_plane.activator_process import NAME, PORTS, ActivatorProcess
from tests.control_plane.engine_pages import EnginePages, page
from tests.control_plane.kubelet import Kubelet, ready
from tests.control_plane.operator_process import Operator, Target, install_crd, now, until

pytestmark = pytest.mark.control_plane

ENGINE = f"127.79.{os.getpid() % 250}.1"
SETTINGS: dict[str, Any] = {
    "scaling": {"scrapePeriodSeconds": 0.3, "decisionPeriodSeconds": 0.3, "staleAfterSeconds": 5},
    "activator": PORTS,
}
SCALING = {"minReplicas": 0, "maxReplicas": 2, "idleToZeroSeconds": 3, "scaleDownDelaySeconds": 0}


@dataclass(frozen=True)
class Scene:
    cluster: ControlPlane
    activator: ActivatorProcess
    operator: Callable[[], Operator]

    def place(self, name: str) -> list[str]:
        """The addresses in the object's slice."""
        found = self.cluster.find("endpointslices", f"{name}-activator")
        return [address for one in (found or {}).get("endpoints") or [] for address in one["addresses"]]

    def port(self, name: str) -> int:
        (port,) = self.cluster.get("endpointslices", f"{name}-activator")["ports"]
        return int(port["port"])

    def book(self) -> dict[str, str]:
        data: dict[str, str] = self.cluster.get("configmap", NAME, namespace=identities.RELEASE).get("data") or {}
        return data


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    pages = EnginePages({ENGINE: lambda: page(running=0)})
    status = ready() | {"podIP": ENGINE, "podIPs": [{"ip": ENGINE}]}
    with ControlPlane(audit_level="Request") as cluster, Kubelet(cluster, lambda _: status), pages:
        install_crd(cluster)
        identities.namespace(cluster, identities.RELEASE)
        kubeconfig = identities.operator(cluster)
        own = cluster.service_account_kubeconfig(identities.RELEASE, NAME)

        def operator() -> Operator:
            return Operator(
                cluster,
                kubeconfig=kubeconfig,
                lease_namespace=identities.RELEASE,
                settings=SETTINGS,
                activator=NAME,
            )

        with ActivatorProcess(cluster, own, namespace=identities.RELEASE) as activator:
            yield Scene(cluster, activator, operator)


def until_asleep(scene: Scene, target: Target) -> None:
    until(lambda: target.get("deployment")["spec"]["replicas"] == 0, what=f"{target.name} is at zero")
    target.wait_for("Available", reason="ScaledToZero")
    assert scene.place(target.name) == [scene.activator.address]


def test_a_life_around_zero(scene: Scene) -> None:
    """Idle, asleep, asked for, awake; and then never again to zero."""
    with scene.operator() as operator:
        operator.wait_until_leading()
        target = Target(scene.cluster, "sleepy")
        began = now()
        target.apply(scaling=SCALING)
        uid = target.get("llm")["metadata"]["uid"]
        until(lambda: uid in " ".join(scene.book().values()), what="its port is in the book")
        assert scene.book() == {str(scene.port("sleepy")): f"default/sleepy/{uid}"}
        until_asleep(scene, target)
        _stood_in_before_it_went(scene, since=began)
        assert scene.activator.ask(scene.port("sleepy"), "other") == 404
        assert target.get("llm")["spec"]["replicas"] == 0
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(scene.activator.ask, scene.port("sleepy"), "sleepy")
            until(lambda: target.get("deployment")["spec"]["replicas"] == 1, what="it is woken")
            assert waiting.result() == 200
        reasons = [change["reason"] for change in target.get("llm")["status"]["scaling"]["history"]]
        assert "demand" in reasons
        until(lambda: scene.place("sleepy") == [], what="the activator leaves")
        target.apply(scaling=SCALING | {"minReplicas": 1})
        until(lambda: scene.cluster.find("endpointslices", "sleepy-activator") is None, what="its place goes")
        until(lambda: scene.book() == {}, what="its port is free")
        scene.cluster.kubectl("delete", "llm", "sleepy")


def _stood_in_before_it_went(scene: Scene, *, since: Any) -> None:
    """By the audit log: first the activator's address, then the Deployment's zero."""
    writes = scene.cluster.audit_log.writes(since=since, agent="llmfleet")
    order = [event for event in writes if event.name in {"sleepy", "sleepy-activator"} and event.body]
    filled = next(i for i, e in enumerate(order) if e.resource == "endpointslices" and e.body.get("endpoints"))
    zeroed = next(i for i, e in enumerate(order) if e.resource == "deployments" and e.body["spec"]["replicas"] == 0)
    assert filled < zeroed


def test_an_operator_that_comes_back_takes_nobody_out(scene: Scene) -> None:
    """It does not know at first which activators there are, and so changes nothing; ports stay whose they are."""
    target = Target(scene.cluster, "still")
    with scene.operator() as operator:
        operator.wait_until_leading()
        target.apply(replicas=0, scaling=SCALING)
        until_asleep(scene, target)
        port = scene.port("still")
    since = now()
    with scene.operator() as operator:
        operator.wait_until_leading()
        other = Target(scene.cluster, "other")
        other.apply(replicas=0, scaling=SCALING)
        until_asleep(scene, other)
        assert (scene.port("still"), scene.port("other") != port) == (port, True)
        writes = scene.cluster.audit_log.writes(since=since, agent="llmfleet")
        assert [e.resource for e in writes if e.name == "still-activator"] == []


def test_without_an_activator_the_last_replica_stays(scene: Scene) -> None:
    with scene.operator() as operator:
        operator.wait_until_leading()
        scene.activator.appear(is_ready=False)
        target = Target(scene.cluster, "kept")
        target.apply(scaling=SCALING)
        said = target.wait_for("ScalingActive", reason="NoActivator")
        assert "no activator answers" in said["message"]
        scene.cluster.kubectl("scale", "llm/kept", "--replicas=0")
        until(lambda: target.get("llm")["spec"]["replicas"] == 1, what="the zero is taken back")
        assert target.get("deployment")["spec"]["replicas"] == 1
        scene.activator.appear(is_ready=True)
        until_asleep(scene, target)
