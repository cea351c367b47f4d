"""The chart's ValidatingAdmissionPolicies on a real API server: what they refuse, in which words, and what not."""

from typing import Any

import pytest

from llmfleet.api.settings import Settings
from tests.chart.chart import manifests
from tests.cluster import ControlPlane
from tests.cluster.api import ApiError
from tests.control_plane import identities
from tests.control_plane.operator_process import llm, until
from tests.golden.test_golden import expected

pytestmark = pytest.mark.control_plane

PATTERNS = ["vllm/vllm-openai:v*", "registry.example/ml/vllm-[ab]:?.?", "registry.example/a+b/x"]
DEFAULT = "registry.example/default:1"
VALUES: dict[str, Any] = {
    "scope": "namespace",
    "watchNamespaces": ["red", "blue"],
    "admissionPolicy": {"enabled": True, "maxGpus": 16, "maxGpusByNamespace": {"blue": 4}, "trustRemoteCode": False},
    "settings": {"engine": {"defaultImage": DEFAULT, "allowedImages": PATTERNS}},
}
KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
GROUP = "/apis/serving.llmfleet.io/v1alpha1/namespaces"
COMMIT = "9c925d64d72725edaf899c6cb9c377fd0709d9c5"
FORBIDDEN_IMAGE = {"engine": {"image": "evil.example/miner:1"}}


@pytest.fixture(scope="module")
def walled(cluster: ControlPlane) -> ControlPlane:
    for name in ("red", "blue", "free"):
        identities.namespace(cluster, name)
    cluster.apply(place("before", namespace="red", **FORBIDDEN_IMAGE))
    identities.create(cluster, *(m for m in manifests(VALUES) if m["kind"] in KINDS))
    until(lambda: answer(cluster, FORBIDDEN_IMAGE), what="the policy of objects is in force")
    until(lambda: pod_answer(cluster, "evil.example/miner:1"), what="the policy of pods is in force")
    return cluster


def answer(cluster: ControlPlane, spec: dict[str, Any], *, namespace: str = "red") -> str:
    """The words of the refusal of an object with this spec; empty where it is taken."""
    return _refusal(cluster, "POST", f"{GROUP}/{namespace}/llmdeployments", place("tried", namespace=namespace, **spec))


def place(name: str, *, namespace: str, **spec: Any) -> dict[str, Any]:
    return llm(name, **spec) | {"metadata": {"name": name, "namespace": namespace}}


def changed(cluster: ControlPlane, path: str, body: dict[str, Any]) -> str:
    """The words of the refusal of a change, which is done."""
    try:
        cluster.api.request("PATCH", f"{GROUP}/{path}", body=body, content_type="application/merge-patch+json")
    except ApiError as error:
        return str(error)
    return ""


def pod_answer(cluster: ControlPlane, image: str, *, name: str = "engine", labelled: bool = True) -> str:
    template = expected("minimal")[-1]["spec"]["template"]
    spec = template["spec"] | {"containers": [template["spec"]["containers"][0] | {"image": image, "name": name}]}
    meta = {"name": "tried", "labels": template["metadata"]["labels"] if labelled else {}}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    return _refusal(cluster, "POST", "/api/v1/namespaces/red/pods", body)


def _refusal(cluster: ControlPlane, method: str, path: str, body: dict[str, Any]) -> str:
    try:
        cluster.api.request(method, path, body=body, query={"dryRun": "All"})
    except ApiError as error:
        return str(error)
    return ""


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (FORBIDDEN_IMAGE, "red", "the image evil.example/miner:1 is not among those that the administrator allows"),
    ({"gpu": {"profile": "tpu"}}, "red", "there is no GPU profile tpu: set spec.gpu.profile to one of: t4, l4,"),
    (
        {"replicas": 17},
        "red",
        "up to 17 GPUs, and the administrator allows one LLMDeployment in the namespace red at most 16",
    ),
    ({"gpu": {"tensorParallelSize": 8}, "replicas": 3}, "red", "up to 24 GPUs"),
    ({"gpu": {"tensorParallelSize": 8}, "scaling": {"maxReplicas": 3}}, "red", "up to 24 GPUs"),
    ({"replicas": 5}, "blue", "in the namespace blue at most 4"),
    (
        {"model": {"source": "a/b", "trustRemoteCode": True, "revision": COMMIT}},
        "red",
        "trustRemoteCode is not allowed by the administrator",
    ),
]


@pytest.mark.parametrize(("spec", "namespace", "words"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_refused(walled: ControlPlane, spec: dict[str, Any], namespace: str, words: str) -> None:
    said = answer(walled, spec, namespace=namespace)
    assert words in said
    assert answer(walled, spec, namespace="free") == "", "only where LLMDeployments are served"


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"gpu": {"profile": "l4"}, "engine": {"image": "vllm/vllm-openai:v0.32.0"}},
        {"gpu": {"tensorParallelSize": 8}, "replicas": 2},
        {"replicas": 16, "scaling": {"maxReplicas": 16}},
    ],
    ids=str,
)
def test_what_is_taken(walled: ControlPlane, spec: dict[str, Any]) -> None:
    assert answer(walled, spec) == ""


@pytest.mark.parametrize(
    "image",
    [
        DEFAULT,
        "vllm/vllm-openai:v0.32.0",
        "vllm/vllm-openai:v",
        "vllm/vllm-openai:latest",
        "evil.example/vllm/vllm-openai:v0.32.0",
        "registry.example/ml/vllm-a:1.2",
        "registry.example/ml/vllm-c:1.2",
        "registry.example/ml/vllm-a:1.23",
        "registry.example/a+b/x",
        "registry.example/aab/x",
        "registryxexample/ml/vllm-a:1.2",
    ],
)
def test_the_policy_and_the_operator_allow_the_same_images(walled: ControlPlane, image: str) -> None:
    """Of objects and of pods; what no image may be called is refused before (`+`)."""
    settings = Settings.parse(VALUES["settings"])
    said = answer(walled, {"engine": {"image": image}})
    assert ("administrator allows" in said) is (not settings.engine.allows(image) and "+" not in image)
    assert ("administrator allows" in pod_answer(walled, image)) is not settings.engine.allows(image)


@pytest.mark.parametrize(
    ("sub", "replicas", "taken"), [("", 4, True), ("", 5, False), ("/scale", 4, True), ("/scale", 5, False)]
)
def test_a_change_is_judged_as_the_creation_is(walled: ControlPlane, sub: str, replicas: int, taken: bool) -> None:  # noqa: FBT001
    walled.apply(place("grows", namespace="blue"))
    said = changed(walled, f"blue/llmdeployments/grows{sub}", {"spec": {"replicas": replicas}})
    assert ("at most 4" in said) is not taken
    assert bool(said) is not taken


def test_what_was_taken_before_is_left_alone_until_its_spec_changes(walled: ControlPlane) -> None:
    """Else an object that the policy does not like could neither be labelled nor end."""
    there = "red/llmdeployments/before"
    assert changed(walled, there, {"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/x"]}}) == ""
    assert "administrator allows" in changed(walled, there, {"spec": {"replicas": 2}})
    walled.kubectl("delete", "llm", "before", "--namespace=red", "--wait=false")
    assert changed(walled, there, {"metadata": {"finalizers": None}}) == ""
    assert walled.find("llm", "before", namespace="red") is None


def test_pods_of_others_are_let_be(walled: ControlPlane) -> None:
    """And an engine pod without an engine is not."""
    assert pod_answer(walled, "busybox", labelled=False) == ""
    assert "needs a container engine" in pod_answer(walled, "vllm/vllm-openai:v1", name="other")
