"""What Mallory does, who may write LLMDeployments and nothing else."""

import json
import time

from tests.control_plane.attacks.scene import DEPLOYMENTS, LABEL, LLMS, MERGE, Deed, Scene, deed, refused
from tests.control_plane.operator_process import now, until, writes

DEEDS: list[Deed] = []


@deed(DEEDS, "Mallory", "makes an LLMDeployment in another namespace", "refused: 403")
def writes_elsewhere(scene: Scene) -> None:
    refused(403, "cannot create", scene.mallory, "POST", LLMS.format("blue"), body=scene.llm("x", namespace="blue"))


@deed(DEEDS, "Mallory", "reads the Secrets of the namespace, executes in an engine's pod", "refused: 403")
def reads_secrets(scene: Scene) -> None:
    refused(403, "cannot list", scene.mallory, "GET", "/api/v1/namespaces/red/secrets")
    refused(403, "pods/exec", scene.mallory, "POST", "/api/v1/namespaces/red/pods/x/exec?command=id")


@deed(DEEDS, "Mallory", "changes a child instead of the object", "refused: 403")
def edits_child(scene: Scene) -> None:
    refused(403, "cannot patch", scene.mallory, "PATCH", f"{DEPLOYMENTS}/mine", body={"spec": {}}, content_type=MERGE)


@deed(DEEDS, "Mallory", "writes a status, to seem ready or to be given more replacements", "refused: 403")
def writes_status(scene: Scene) -> None:
    path = LLMS.format("red") + "/mine/status"
    refused(403, "cannot patch", scene.mallory, "PATCH", path, body={"status": {"ready": "9/9"}}, content_type=MERGE)


@deed(DEEDS, "Mallory", "scales to a million through `/scale`", "refused by the API server: at most 1000")
def scales_far(scene: Scene) -> None:
    path = LLMS.format("red") + "/mine/scale"
    body = {"spec": {"replicas": 1000000}}
    refused(422, "less than or equal to 1000", scene.mallory, "PATCH", path, body=body, content_type=MERGE)


@deed(
    DEEDS,
    "Mallory",
    "asks for 1000 replicas in a namespace with a quota of 4 GPUs",
    "4 pods; the status has the quota's words",
)
def asks_for_all_gpus(scene: Scene) -> None:
    quota = {"spec": {"hard": {"requests.nvidia.com/gpu": "4"}}}
    meta = {"name": "gpus", "namespace": "green"}
    scene.cluster.kubectl(
        "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta} | quota)
    )
    until(
        lambda: (
            "hard" in json.loads(scene.cluster.kubectl("get", "quota", "gpus", "-n", "green", "-o", "json"))["status"]
        ),
        what="the quota counts",
    )
    body = scene.llm("huge", namespace="green")
    scene.cluster.apply(body | {"spec": body["spec"] | {"replicas": 1000}})

    def is_told() -> bool:
        return "exceeded quota" in str(scene.get("llm", "huge", namespace="green").get("status", {}))

    until(is_told, what="the quota's words")
    pods = scene.cluster.select("pods", namespace="green")
    scene.cluster.kubectl("delete", "llm", "huge", "-n", "green")
    assert len(pods) == 4


@deed(
    DEEDS,
    "Mallory",
    "gives the object the name of somebody's Service",
    "SpecValid is False, NameConflict; the Service is not touched",
)
def takes_a_name(scene: Scene) -> None:
    ports = {"spec": {"ports": [{"port": 80}], "selector": {"app": "database"}}}
    scene.cluster.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "database", "namespace": "red"}} | ports
    )
    before = scene.get("service", "database")
    scene.mallory.request("POST", LLMS.format("red"), body=scene.llm("database"))
    until(lambda: scene.condition("database", "SpecValid").get("reason") == "NameConflict", what="NameConflict")
    assert scene.get("service", "database") == before
    assert scene.cluster.find("deployment", "database", namespace="red") is None


@deed(
    DEEDS,
    "Mallory",
    "puts the operator's own labels and annotations on the object",
    "harmless: the operator reads none of an LLMDeployment's",
)
def forges_metadata(scene: Scene) -> None:
    body = scene.llm("dressed")
    body["metadata"] |= {
        "labels": {LABEL: "mine", "app.kubernetes.io/managed-by": "other"},
        "annotations": {"llmfleet.io/inputs-hash": "0", "llmfleet.io/start-hold": "{}", "kopf.zalando.org/last": "x"},
    }
    scene.mallory.request("POST", LLMS.format("red"), body=body)
    child = until(lambda: scene.cluster.find("deployment", "dressed", namespace="red"), what="its child")
    assert child["metadata"]["labels"][LABEL] == "dressed"
    assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "llmfleet"
    assert child["metadata"]["annotations"]["llmfleet.io/inputs-hash"] != "0"


@deed(
    DEEDS,
    "Mallory",
    "keeps an object from going by a finalizer of its own",
    "only this object stays; the operator writes nothing for it, others are served",
)
def never_goes(scene: Scene) -> None:
    body = scene.llm("stuck")
    body["metadata"]["finalizers"] = ["evil.example/never"]
    scene.mallory.request("POST", LLMS.format("red"), body=body)
    until(lambda: scene.cluster.find("deployment", "stuck", namespace="red"), what="its child")
    until(lambda: scene.condition("stuck", "Ready"), what="its status")
    scene.mallory.request("DELETE", LLMS.format("red") + "/stuck")
    time.sleep(1.0)
    since = now()
    scene.still_works("beside-stuck")
    assert not [event for event in writes(scene.cluster, since=since) if event.name == "stuck"]


@deed(DEEDS, "Mallory", "sends an object of 4 MB, or annotations of 300 KB", "refused by the API server")
def sends_much(scene: Scene) -> None:
    body = scene.llm("heavy")
    body["metadata"]["annotations"] = {"a": "x" * 300_000}
    refused(422, "annotations: Too long", scene.mallory, "POST", LLMS.format("red"), body=body)
    body["metadata"]["annotations"] = {"a": "x" * 4_000_000}
    refused(413, "too large", scene.mallory, "POST", LLMS.format("red"), body=body)


@deed(
    DEEDS, "Mallory", "fills every list of an object to its bound (330 KB)", "taken; the next object is served at once"
)
def fills_all(scene: Scene) -> None:
    body = scene.llm("full")
    body["spec"]["engine"] = {
        "extraArgs": [f"--seed={'1' * 1000}{i}" for i in range(64)],
        "env": [{"name": f"A{i}", "value": "$" * 4096} for i in range(64)],
    }
    scene.mallory.request("POST", LLMS.format("red"), body=body)
    scene.still_works("beside-full")
