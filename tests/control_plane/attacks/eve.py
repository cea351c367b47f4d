"""What Eve does, who may edit everything in her namespace."""

import json
import time
from typing import Any

from tests.cluster.api import APPLY
from tests.control_plane.attacks.scene import (
    DEPLOYMENTS,
    LABEL,
    LLMS,
    MERGE,
    QUIET,
    STRATEGIC,
    Deed,
    Scene,
    deed,
    make_pod,
    owned_service,
    refused,
)
from tests.control_plane.operator_process import IMAGE, until

DEEDS: list[Deed] = []
AS_OPERATOR: dict[str, Any] = {"content_type": APPLY, "query": {"fieldManager": "llmfleet", "force": "true"}}
"""A server-side apply in the operator's name."""


@deed(DEEDS, "Eve", "forges the status: ready, another address", "written anew by the operator")
def forges_status(scene: Scene) -> None:
    scene.serve("forged")
    url = scene.get("llm", "forged")["status"]["url"]
    path = LLMS.format("red") + "/forged/status"
    evil = {"status": {"url": "http://evil.example", "ready": "9/9"}}
    scene.eve.request("PATCH", path, body=evil, content_type=MERGE)
    until(lambda: scene.get("llm", "forged")["status"]["url"] == url, what="the address is back")
    assert scene.get("llm", "forged")["status"]["ready"] == "0/1"


@deed(
    DEEDS,
    "Eve",
    "puts our label on a pod of hers",
    "it is no replica: not counted, not scraped, not annotated, not deleted with the object",
)
def labels_a_pod(scene: Scene) -> None:
    scene.serve("lured")
    make_pod(scene, "fake", labels={LABEL: "lured"})
    time.sleep(QUIET)
    assert scene.get("llm", "lured")["status"]["replicas"] == 1
    scene.mallory.request("DELETE", LLMS.format("red") + "/lured")
    until(lambda: scene.cluster.find("deployment", "lured", namespace="red") is None, what="the children are gone")
    meta = scene.get("pod", "fake")["metadata"]
    assert "deletionTimestamp" not in meta
    assert "annotations" not in meta


@deed(
    DEEDS,
    "Eve",
    "labels a pod of hers with the name of an object in another namespace",
    "of no meaning: labels count within their namespace",
)
def labels_across(scene: Scene) -> None:
    before = scene.get("llm", "shop", namespace="blue")["status"]
    make_pod(scene, "across", labels={LABEL: "shop"})
    time.sleep(QUIET)
    assert scene.get("llm", "shop", namespace="blue")["status"] == before


@deed(
    DEEDS,
    "Eve",
    "claims an object of another namespace as owner of her Service",
    "not adopted; nothing of the other namespace changes (the garbage collector removes hers)",
)
def forges_an_owner(scene: Scene) -> None:
    shop = scene.get("llm", "shop", namespace="blue")
    kinds = ("deployment", "service", "pdb")
    before = {kind: scene.get(kind, "shop", namespace="blue")["metadata"]["uid"] for kind in kinds}
    scene.eve.request("POST", "/api/v1/namespaces/red/services", body=owned_service("shop", shop["metadata"]["uid"]))
    time.sleep(QUIET)
    assert {kind: scene.get(kind, "shop", namespace="blue")["metadata"]["uid"] for kind in kinds} == before
    assert scene.get("llm", "shop", namespace="blue")["spec"] == shop["spec"]


@deed(
    DEEDS,
    "Eve",
    "makes a Service that claims an object that was never there, under the name of a coming one",
    "not taken over; the object gets its own once the garbage collector has removed it",
)
def forges_a_coming_owner(scene: Scene) -> None:
    body = owned_service("early", "0" * 8 + "-0000-0000-0000-000000000000")
    answer = scene.eve.request("POST", "/api/v1/namespaces/red/services", body=body)
    forged = json.loads(answer.data)["metadata"]["uid"]  # the garbage collector may remove it at any time from here on
    scene.mallory.request("POST", LLMS.format("red"), body=scene.llm("early"))
    until(lambda: scene.cluster.find("deployment", "early", namespace="red"), what="its children")
    assert scene.get("service", "early")["metadata"]["uid"] != forged


SLICES = "/apis/discovery.k8s.io/v1/namespaces/red/endpointslices"


@deed(
    DEEDS,
    "Eve",
    "makes an EndpointSlice with another object's port or any address, to be given its requests at zero",
    "refused by Kubernetes: `edit` has no right to EndpointSlices. An activator would not look there either: ports are "
    "in the operator's namespace, and replicas are pods",
)
def makes_a_slice(scene: Scene) -> None:
    meta = {"name": "mine-activator", "labels": {"kubernetes.io/service-name": "mine", LABEL: "mine"}}
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": meta,
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"]}],
        "ports": [{"name": "http", "port": 6443}],
    }
    refused(403, "cannot create resource", scene.eve, "POST", SLICES, body=body)


@deed(
    DEEDS,
    "Eve",
    "writes an address of her choice into the status of a pod, for an activator to send requests to",
    "refused by Kubernetes: only a kubelet writes there",
)
def writes_an_address(scene: Scene) -> None:
    make_pod(scene, "elsewhere", labels={LABEL: "mine"})
    body = {"status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}}
    path = "/api/v1/namespaces/red/pods/elsewhere/status"
    refused(403, "cannot patch resource", scene.eve, "PATCH", path, body=body, content_type=MERGE)


@deed(
    DEEDS,
    "Eve",
    "writes her object beside another one's port, in the activators' ConfigMap",
    "refused by Kubernetes: it is in the operator's namespace",
)
def writes_into_the_book(scene: Scene) -> None:
    path = "/api/v1/namespaces/llmfleet/configmaps/llmfleet-activator"
    body = {"data": {"20000": "red/mine/uid"}}
    refused(403, "cannot patch resource", scene.eve, "PATCH", path, body=body, content_type=MERGE)


@deed(DEEDS, "Eve", "changes the image of a child", "put back")
def changes_the_image(scene: Scene) -> None:
    scene.serve("edited")
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil.example/miner:1"}]
    path = f"{DEPLOYMENTS}/edited"
    scene.eve.request("PATCH", path, body=patch, content_type="application/json-patch+json")
    until(lambda: scene.image("edited") == IMAGE, what="the image is back")


@deed(
    DEEDS,
    "Eve",
    "applies a child as field manager `llmfleet`, with another image and the hashes of before",
    "put back: the hashes are compared with the live fields",
)
def steals_ownership(scene: Scene) -> None:
    scene.serve("stolen")
    scene.eve.request("PATCH", f"{DEPLOYMENTS}/stolen", body=usurped(scene, "stolen", owned=True), **AS_OPERATOR)
    until(lambda: scene.image("stolen") == IMAGE, what="the image is back")


@deed(
    DEEDS,
    "Eve",
    "the same, and takes label and owner away",
    "NameConflict: what lost its owner is not the operator's any more, and not taken over",
)
def steals_the_object(scene: Scene) -> None:
    scene.serve("robbed")
    scene.eve.request("PATCH", f"{DEPLOYMENTS}/robbed", body=usurped(scene, "robbed", owned=False), **AS_OPERATOR)
    until(lambda: scene.condition("robbed", "SpecValid").get("reason") == "NameConflict", what="NameConflict")


def usurped(scene: Scene, name: str, *, owned: bool) -> dict[str, Any]:
    """A child with another image, as the operator would apply it."""
    live = scene.get("deployment", name)
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "evil.example/miner:1"
    kept = ("labels", "annotations", "ownerReferences") if owned else ("annotations",)
    meta = {"name": name} | {key: live["metadata"][key] for key in kept}
    spec = {key: live["spec"][key] for key in ("selector", "template", "replicas")}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


@deed(DEEDS, "Eve", "writes nonsense into the operator's annotations of a child", "put back, without a rollout")
def forges_hashes(scene: Scene) -> None:
    scene.serve("hashed")
    before = scene.get("deployment", "hashed")
    nonsense = {"llmfleet.io/inputs-hash": "0", "llmfleet.io/template-hash": "0", "llmfleet.io/start-hold": "{["}
    body = {"metadata": {"annotations": nonsense}}
    scene.eve.request("PATCH", f"{DEPLOYMENTS}/hashed", body=body, content_type=MERGE)
    key = "llmfleet.io/inputs-hash"
    until(
        lambda: (
            scene.get("deployment", "hashed")["metadata"]["annotations"][key] == before["metadata"]["annotations"][key]
        ),
        what="the hash is back",
    )
    assert scene.get("deployment", "hashed")["spec"]["template"] == before["spec"]["template"]


@deed(
    DEEDS,
    "Eve",
    "takes a child's label and owner away",
    "the label is put back; without an owner it is not the operator's, and the status says so",
)
def orphans_a_child(scene: Scene) -> None:
    scene.serve("orphan")
    path = "/api/v1/namespaces/red/services/orphan"
    scene.eve.request("PATCH", path, body={"metadata": {"labels": {LABEL: None}}}, content_type=MERGE)
    until(lambda: scene.get("service", "orphan")["metadata"]["labels"].get(LABEL) == "orphan", what="the label is back")
    scene.eve.request("PATCH", path, body={"metadata": {"ownerReferences": None}}, content_type=MERGE)
    until(
        lambda: (
            "ownerReferences" in scene.get("service", "orphan")["metadata"]
            or "Service" in str(scene.get("llm", "orphan")["status"])
        ),
        what="it is put back, or told",
    )


@deed(
    DEEDS,
    "Eve",
    "adds a privileged sidecar with a `hostPath` to a child",
    "Pod Security refuses such a pod; the pods that run stay",
)
def adds_a_sidecar(scene: Scene) -> None:
    scene.serve("sidecar")
    extra = {
        "containers": [{"name": "x", "image": "busybox", "securityContext": {"privileged": True}}],
        "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
    }
    body = {"spec": {"template": {"spec": extra}}}
    scene.eve.request("PATCH", f"{DEPLOYMENTS}/sidecar", body=body, content_type=STRATEGIC)
    until(lambda: "violates PodSecurity" in str(scene.get("deployment", "sidecar")["status"]), what="the refusal")
    pods = scene.cluster.select("pods", namespace="red", labels=f"{LABEL}=sidecar")
    assert [len(pod["spec"]["containers"]) for pod in pods] == [1]


@deed(DEEDS, "Eve", "deletes a child", "made again")
def deletes_a_child(scene: Scene) -> None:
    scene.serve("deleted")
    before = scene.get("service", "deleted")["metadata"]["uid"]
    scene.eve.request("DELETE", "/api/v1/namespaces/red/services/deleted")

    def is_new() -> bool:
        found = scene.cluster.find("service", "deleted", namespace="red")
        return bool(found and found["metadata"]["uid"] != before)

    until(is_new, what="a new Service")


@deed(
    DEEDS,
    "Eve",
    "makes a Lease with the name of the operator's in her namespace",
    "of no meaning: the operator's lies in its own namespace, where she has no rights",
)
def makes_a_lease(scene: Scene) -> None:
    meta = {"name": "llmfleet-operator", "namespace": "red"}
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": {"holderIdentity": "eve"},
    }
    scene.cluster.apply(lease, namespace="red")
    path = "/apis/coordination.k8s.io/v1/namespaces/llmfleet/leases/llmfleet-operator"
    refused(403, "cannot patch", scene.eve, "PATCH", path, body={"spec": {}}, content_type=MERGE)
    time.sleep(QUIET)
    assert scene.operator.leads()
