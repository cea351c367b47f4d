"""What is done from outside of the API: at the operator's port, with its token."""

import json
import urllib.error
import urllib.request

from tests.control_plane.attacks.scene import Deed, Scene, deed

DEEDS: list[Deed] = []


@deed(
    DEEDS,
    "Anybody in the cluster",
    "sends something to the operator's port",
    "refused: it takes GET of three pages and reads no input",
)
def talks_to_the_operator(scene: Scene) -> None:
    for path, method, status in (
        ("/metrics", "POST", 405),
        ("/livez", "DELETE", 405),
        ("/..%2f..%2fetc/passwd", "GET", 404),
        ("/debug/pprof", "GET", 404),
        ("/readyz?x=" + "y" * 100_000, "GET", 400),
    ):
        assert answer(scene.operator.port, path, method) == status, path
    assert scene.operator.page("/livez") == (200, "ok")


STEALABLE = (
    "get secrets",
    "list secrets",
    "create pods",
    "create pods/exec",
    "create pods/attach",
    "create pods/portforward",
    "create pods/ephemeralcontainers",
    "get pods/log",
    "create serviceaccounts/token",
    "create roles.rbac.authorization.k8s.io",
    "bind clusterroles.rbac.authorization.k8s.io",
    "escalate clusterroles.rbac.authorization.k8s.io",
    "create rolebindings.rbac.authorization.k8s.io",
    "impersonate users",
    "create validatingwebhookconfigurations.admissionregistration.k8s.io",
    "patch customresourcedefinitions.apiextensions.k8s.io",
    "get nodes",
    "get nodes/proxy",
    "get configmaps",
    "create llmdeployments.serving.llmfleet.io",
    "delete llmdeployments.serving.llmfleet.io",
    "delete deployments.apps",
    "delete services",
    "deletecollection pods",
)
"""Rights that would make something of a stolen token."""


@deed(
    DEEDS,
    "Whoever has the operator's token",
    "reads Secrets, executes, makes pods, roles, tokens or webhooks, acts as another",
    "refused: of the two dozen rights that would help, it has none",
)
def steals_the_token(scene: Scene) -> None:
    allowed_nothing(scene, "system:serviceaccount:llmfleet:llmfleet", STEALABLE)


@deed(
    DEEDS,
    "Whoever has an activator's token",
    "does the same, or scales, or writes into an object, a pod, an EndpointSlice or the ports",
    "refused: it may look at LLMDeployments, pods and the ports, and write nothing",
)
def steals_the_activators_token(scene: Scene) -> None:
    writes = (
        "patch llmdeployments/scale.serving.llmfleet.io",
        "patch llmdeployments/status.serving.llmfleet.io",
        "patch llmdeployments.serving.llmfleet.io",
        "patch pods",
        "delete pods",
        "patch services",
        "create endpointslices.discovery.k8s.io",
        "patch endpointslices.discovery.k8s.io",
        "patch configmaps",
        "create events",
    )
    allowed_nothing(scene, "system:serviceaccount:llmfleet:llmfleet-activator", (*STEALABLE, *writes))


def allowed_nothing(scene: Scene, user: str, rights: tuple[str, ...]) -> None:
    """Whether the API server would refuse the user each of these."""
    for right in rights:
        verb, _, target = right.partition(" ")
        kind, _, group = target.partition(".")
        resource, _, sub = kind.partition("/")
        wanted = {"namespace": "red", "verb": verb, "group": group, "resource": resource, "subresource": sub}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": wanted},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        told = json.loads(scene.cluster.api.request("POST", path, body=body).data)
        assert told["status"]["allowed"] is False, right


def answer(port: int, path: str, method: str) -> int:
    """The status of an answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, data=None)
    try:
        with urllib.request.urlopen(request, timeout=5) as found:  # noqa: S310
            return int(found.status)
    except urllib.error.HTTPError as error:
        return error.code
