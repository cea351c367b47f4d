"""The attack table: each row is tried on a real API server, against an operator with the chart's own rights.

The rows stand in `attacks/`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import ControlPlane
from tests.cluster.api import Api, ApiError
from tests.control_plane import identities
from tests.control_plane.attacks import ATTACKS, DEEDS
from tests.control_plane.attacks.row import Attack
from tests.control_plane.attacks.scene import LLMS, MERGE, Deed, Scene
from tests.control_plane.operator_process import Operator, until
from tests.crd.cases import merged

pytestmark = pytest.mark.control_plane

BAIT, PLAIN = "bait", "plain"


@pytest.fixture(scope="module")
def scene(cluster: ControlPlane) -> Iterator[Scene]:
    for name in ("llmfleet", "red", "blue", "green"):
        identities.namespace(cluster, name)
    kubeconfig = identities.operator(cluster)
    mallory = identities.tenant(cluster, "red", "mallory", *identities.EDIT)
    eve = identities.tenant(cluster, "red", "eve", "edit", rules=(identities.STATUS,))
    with Operator(cluster, kubeconfig=kubeconfig, lease_namespace="llmfleet") as operator:
        operator.wait_until_leading()
        found = Scene(cluster, operator, Api(mallory), Api(eve))
        cluster.apply(found.llm("shop", namespace="blue"))
        for name in (BAIT, PLAIN, "mine"):
            found.serve(name)
        until(lambda: cluster.find("deployment", "shop", namespace="blue"), what="the shop")
        yield found


def pod_of(scene: Scene, name: str) -> dict[str, Any]:
    """The pod's spec of an object, as if the object had the plain one's name; None without a Deployment."""
    found = until(lambda: scene.cluster.find("deployment", name, namespace="red"), what=f"the pods of {name}")
    spec = json.dumps(found["spec"]["template"]["spec"])
    pod: dict[str, Any] = json.loads(spec.replace(f'"{name}"', f'"{PLAIN}"').replace(f"={name}", f"={PLAIN}"))
    return pod


def attempt(api: Api, body: dict[str, Any], *, method: str, path: str, content_type: str, **query: str) -> str:
    """The words of the refusal; empty if there is none."""
    query["fieldValidation"] = "Ignore"
    try:
        api.request(method, path, body=body, content_type=content_type, query=query)
    except ApiError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_is_written_into_an_object(scene: Scene, attack: Attack) -> None:
    """Refused alike at creation and by a change of what is there; or no pod; or one that shows that it is harmless."""
    path = LLMS.format("red")
    body = scene.llm(attack.name)
    body["spec"] = merged(body["spec"], attack.change)
    said = attempt(scene.mallory, body, method="POST", path=path, content_type="application/json")
    change = {"spec": attack.change}
    changed = attempt(scene.mallory, change, method="PATCH", path=f"{path}/{BAIT}", content_type=MERGE, dryRun="All")
    if attack.refused:
        assert attack.refused in said
        assert attack.refused in changed
        return
    assert (said, changed) == ("", "")
    if attack.reason:
        until(lambda: scene.condition(attack.name, "SpecValid").get("reason") == attack.reason, what=attack.reason)
        assert attack.words in scene.condition(attack.name, "SpecValid")["message"]
        assert scene.cluster.find("deployment", attack.name, namespace="red") is None
    else:
        assert attack.proof is not None
        pod, plain = pod_of(scene, attack.name), pod_of(scene, PLAIN)
        assert attack.proof(pod, plain), json.dumps(pod, indent=1)
    scene.mallory.request("DELETE", f"{path}/{attack.name}")


@pytest.mark.parametrize("row", DEEDS, ids=lambda row: row.act.__name__)
def test_what_is_done_beside(scene: Scene, row: Deed) -> None:
    row.act(scene)


def test_the_operator_lived_through_it_all(scene: Scene) -> None:
    """Not a bug, not a refused request, and what belongs to others is as it was."""
    assert "Traceback" not in scene.operator.log
    assert "lacks a right" not in scene.operator.log
    assert scene.operator.leads()
    assert scene.get("llm", "shop", namespace="blue")["metadata"]["generation"] == 1
