"""A life that needs every right of the operator's: which right is for what stands in the order of `live`.

A right that is granted and not used here is to be taken from the chart, or a step is missing.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cluster import ControlPlane
from tests.control_plane import identities
from tests.control_plane.activator_process import NAME as ACTIVATOR
from tests.control_plane.activator_process import PORTS, ActivatorProcess
from tests.control_plane.engine_pages import EnginePages, page
from tests.control_plane.kubelet import Kubelet, crashing, ready
from tests.control_plane.operator_process import Operator, Target, install_crd, until
from tests.control_plane.test_held_starts import WORDS
from tests.control_plane.test_keda_mode import CRD as KEDA_CRD

IDLE, HUNG = (f"127.77.{os.getpid() % 250}.{number}" for number in (1, 2))
"""Addresses that are this process's own, so that several tests may run at a time."""
PROMETHEUS = {"address": "http://prometheus.monitoring.svc:9090"}
VALUES: dict[str, Any] = {"settings": {"prometheus": PROMETHEUS}}
"""Of the chart: those with which it grants everything that it ever does."""
SETTINGS: dict[str, Any] = {
    "prometheus": PROMETHEUS,
    "scaling": {"scrapePeriodSeconds": 0.3, "decisionPeriodSeconds": 0.3, "staleAfterSeconds": 5},
    "hangs": {"graceSeconds": 1},
    "activator": PORTS,
}
UNKNOWN = {"source": "acme/novel-7b"}
BAD = {"maxModelLen": 200000}
NAMES_LISTED_SECONDS = 16.0
"""After its start the operator knows for 15 s which names are taken, from lists; then it asks for each."""
CANARIES = {
    "api-key": "canary-api-key-8d1f6c02",
    "token": "canary-hub-token-5b7e9a31",
    "AWS_ACCESS_KEY_ID": "canary-access-key-c40d2f88",
    "AWS_SECRET_ACCESS_KEY": "canary-secret-key-91e6b7d5",
}
"""Values of the only Secret; they may stand nowhere else."""
HUB_SECRETS: dict[str, Any] = {
    "model": {"source": "Qwen/Qwen3-8B", "tokenSecretRef": {"name": "canaries", "key": "token"}},
    "access": {"apiKeySecretRef": {"name": "canaries", "key": "api-key"}},
    "engine": {"extraArgs": ["--generation-config=$(VLLM_API_KEY)"], "env": [{"name": "NOTE", "value": "$(HF_TOKEN)"}]},
}
WITHOUT_BOTH = [{"op": "remove", "path": "/spec/scaling"}, {"op": "remove", "path": "/spec/access/networkPolicy"}]
BUCKET_SECRETS = {"model": {"source": "s3://bucket/model", "s3": {"credentialsSecretRef": {"name": "canaries"}}}}


@dataclass(frozen=True)
class Life:
    """What is left to look at."""

    cluster: ControlPlane
    operator: Operator
    activator: ActivatorProcess


def script(pod: dict[str, Any]) -> dict[str, Any]:
    """Pods are ready at once, but for those with too long a context; those of one object hang."""
    if "200000" in " ".join(pod["spec"]["containers"][0]["args"]):
        return crashing(WORDS, times=3)
    address = HUNG if pod["metadata"]["labels"]["llmfleet.io/deployment"] == "hung" else IDLE
    return ready() | {"podIP": address, "podIPs": [{"ip": address}]}


@contextmanager
def lived() -> Iterator[Life]:
    """A control plane on which it has all happened, with reads in the audit log."""
    pages = EnginePages({IDLE: lambda: page(running=0), HUNG: lambda: page(running=1)})
    with ControlPlane(audit_reads=True) as cluster, Kubelet(cluster, script), pages:
        install_crd(cluster)
        cluster.apply_crd(KEDA_CRD)
        identities.namespace(cluster, identities.RELEASE)
        meta = {"name": "canaries", "namespace": "default"}
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": CANARIES})
        kubeconfig = identities.operator(cluster, **VALUES)
        operator = Operator(
            cluster,
            kubeconfig=kubeconfig,
            lease_namespace=identities.RELEASE,
            settings=SETTINGS,
            activator=ACTIVATOR,
        )
        own = cluster.service_account_kubeconfig(identities.RELEASE, ACTIVATOR)
        with ActivatorProcess(cluster, own, namespace=identities.RELEASE) as activator, operator:
            operator.wait_until_leading()
            live(cluster)
            yield Life(cluster, operator, activator)


def live(cluster: ControlPlane) -> None:
    """Everything that the operator does, once."""
    began = time.monotonic()
    scaled = Target(cluster, "scaled")  # children; /scale and the deletion cost, when fewer replicas are needed
    scaled.apply(replicas=3, scaling={"minReplicas": 1, "maxReplicas": 3, "scaleDownDelaySeconds": 0})
    until(lambda: scaled.get("llm")["spec"]["replicas"] == 1, what="the autoscaler takes replicas away")

    hung = Target(cluster, "hung")  # the end of a pod
    hung.apply(engine={"maxModelLen": 100})
    until(lambda: hung.get("llm")["status"].get("replacements"), what="a hung engine's pod is replaced")

    failing = Target(cluster, "failing")  # the template to go back to, from a ReplicaSet
    failing.apply(model=UNKNOWN)
    failing.wait_for("Ready", reason="Available")
    failing.apply(model=UNKNOWN, engine=BAD)
    until(lambda: "start-hold" in str(failing.get("deployment")["metadata"]["annotations"]), what="the start is held")

    time.sleep(max(0.0, began + NAMES_LISTED_SECONDS - time.monotonic()))
    late = Target(cluster, "late")  # whether each name is free
    late.apply(cache={"size": "1Gi", "perReplica": False}, rollout={"maxSurge": 0, "maxUnavailable": 1}, **HUB_SECRETS)
    until(lambda: late.exists("deployment"), what="the children of late")
    come_and_go(Target(cluster, "by-hpa"), "HPA", "horizontalpodautoscaler")
    come_and_go(Target(cluster, "by-keda"), "KEDA", "scaledobject")
    Target(cluster, "bucket").apply(**BUCKET_SECRETS)
    sleep(Target(cluster, "asleep"))


def sleep(target: Target) -> None:
    """The activator's place in an object's address, changed, and then no more."""
    scaling = {"minReplicas": 0, "maxReplicas": 1, "idleToZeroSeconds": 1, "scaleDownDelaySeconds": 0}
    target.apply(scaling=scaling, **HUB_SECRETS)
    target.wait_for("Available", reason="ScaledToZero")
    target.apply(replicas=1, scaling=scaling | {"minReplicas": 1}, **HUB_SECRETS)
    place = f"{target.name}-activator"
    until(lambda: target.cluster.find("endpointslices", place) is None, what="the end of the place")


def come_and_go(target: Target, mode: str, kind: str) -> None:
    """Children that a field of the spec asks for, and then no more."""
    kinds = ("networkpolicy", kind)
    scaling = {"mode": mode, "minReplicas": 1, "maxReplicas": 2}
    target.apply(scaling=scaling, access={"networkPolicy": {"from": [{"podSelector": {}}]}})
    until(lambda: all(target.exists(kind) for kind in kinds), what=f"{kinds} of {target.name}")
    target.cluster.kubectl("patch", "llm", target.name, "--type=json", "-p", json.dumps(WITHOUT_BOTH))
    until(lambda: not any(target.exists(kind) for kind in kinds), what=f"the end of {kinds}")


def everything_but_secrets(cluster: ControlPlane) -> str:
    """All that the API server shows of every kind that it can list."""
    names = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    kinds = ",".join(name for name in names if name != "secrets")
    return json.dumps(
        json.loads(cluster.kubectl("get", kinds, "--all-namespaces", "-o", "json", "--show-managed-fields"))
    )
