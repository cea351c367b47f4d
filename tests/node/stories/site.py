"""Where the stories happen: a node (or somebody's cluster) with the operator installed as the README says."""

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import ExistingCluster, Node, images, monitoring
from tests.cluster.audit import Event
from tests.cluster.cluster import Cluster
from tests.cluster.paths import REPOSITORY
from tests.crd.cases import merged
from tests.node.stories.tenant import STORY

RELEASE = "llmfleet"
NAMESPACE = "llmfleet"
CHART = REPOSITORY / "charts" / "llmfleet"
CRD = "llmdeployments.serving.llmfleet.io"
OLD_ENGINE = images.OLD_ENGINE
IMAGES = (images.OPERATOR, images.SIM_ENGINE, images.OLD_ENGINE)
GPUS = 48
HELD = 220
"""Requests that one activator holds for one object."""
BINDINGS = {"rolebindings", "clusterrolebindings"}
ACCOUNTS = f"system:serviceaccount:{NAMESPACE}:"
BOUND = {
    f"{ACCOUNTS}{RELEASE}": (RELEASE, f"{RELEASE}-leader", f"{RELEASE}-activators"),
    f"{ACCOUNTS}{RELEASE}-activator": (f"{RELEASE}-activator", f"{RELEASE}-activator-ports"),
}
"""The chart's service accounts, and the bindings that give them their rights."""
SETTLES = dt.timedelta(seconds=2)
"""The API server authorizes by a cache, and a manifest's objects come one after the other."""
MONITORING = ("podMonitor", "serviceMonitor", "prometheusRule", "prometheusAdapter")
"""What the chart has for Prometheus; `monitoring.NAME.enabled` makes it."""

PROFILE = {
    "memoryGiB": 140.4,  # the simulated engine plays an H200
    "computeCapability": "9.0",
    "gpusPerNode": 64,
    "pricePerHour": 4.0,
    "resources": {"requests": {"cpu": "30m", "memory": "48Mi"}, "limits": {"memory": "512Mi"}},
}
CORDONED = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}
"""Who tolerates this may also be put on a node that is being drained, where there is no other."""


def values(**settings: Any) -> dict[str, Any]:
    """Chart values: images that are on the node, short periods, GPU profiles with a device and one without."""
    return {
        "image": image(images.OPERATOR),
        "tolerations": [CORDONED],
        "settings": {
            "engine": {
                "defaultImage": images.SIM_ENGINE,
                "allowedImages": ["localhost/llmfleet/*"],
                "imagePullPolicy": "IfNotPresent",
            },
            "gpuProfiles": [
                {"name": "sim", "default": True, "resourceName": "nvidia.com/gpu", **PROFILE},
                {"name": "sim-spot", "tolerations": [{"key": "spot", "operator": "Exists"}], **PROFILE},
                {"name": "sim-cordoned", "tolerations": [CORDONED], **PROFILE},
                {"name": "cpu", "resourceName": "", **PROFILE},
            ],
            "scaling": {"scrapePeriodSeconds": 1, "decisionPeriodSeconds": 1, "staleAfterSeconds": 5},
            # The stories' models take 8,192 tokens, so the grace is 16.4 s.
            "hangs": {"graceSeconds": 8, "clusterReplacementsPerHour": 100},
            "activator": {"requestsPerObject": HELD, "requests": 1000},
            **settings,
        },
    }


def image(name: str) -> dict[str, str]:
    """The chart's value `image` for one that is on the node."""
    repository, tag = name.rsplit(":", 1)
    return {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}


def values_file(cluster: Cluster, extra: dict[str, Any] | None = None, *, release: str = RELEASE) -> Path:
    """A file with the stories' values and what is laid over them."""
    file = cluster.folder / f"{release}.yaml"
    file.write_text(yaml.safe_dump(merged(values(), extra or {})))
    return file


def install(
    cluster: Cluster,
    *,
    verb: str = "install",
    extra: dict[str, Any] | None = None,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    options: Sequence[str] = (),
) -> None:
    """`helm install` (or `upgrade`) of the chart, with the stories' values and what is laid over them."""
    file = values_file(cluster, extra, release=release)
    place = ["--namespace", namespace, "--create-namespace", "--values", str(file), "--wait", "--timeout", "120s"]
    cluster.helm(verb, release, str(CHART), *place, *options)


def uninstall(cluster: Cluster, *, release: str = RELEASE, namespace: str = NAMESPACE) -> None:
    """`helm uninstall`, waiting until what it removes is gone."""
    cluster.helm("uninstall", release, "--namespace", namespace, "--wait", "--timeout", "120s", "--ignore-not-found")


@contextlib.contextmanager
def opened(context: str | None) -> Iterator[Cluster]:
    """A cluster with the operator in it; removed afterwards as far as it was made here."""
    if context:
        with guest(ExistingCluster(context)) as cluster:
            yield cluster
        return
    archives = [images.archive(name) for name in IMAGES]
    with Node(gpus=GPUS, audit_reads=True) as node:
        monitoring.start(node, **chart_for_prometheus(node))
        for archive in archives:
            node.load_image(archive)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
        install(node)
        yield node


@contextlib.contextmanager
def guest(cluster: ExistingCluster) -> Iterator[Cluster]:
    """Somebody's cluster with the operator in it. What was not there before is taken away again."""
    had_namespace = cluster.find("namespace", NAMESPACE) is not None
    had_crd = cluster.find("crd", CRD) is not None
    cluster.prepare(images.STORIES, gpus=GPUS)
    try:
        install(cluster)
        yield cluster
    finally:
        label = ",".join(f"{key}={value}" for key, value in STORY.items())
        cluster.kubectl("delete", "namespaces", "--selector", label, "--timeout=180s")
        uninstall(cluster)
        if not had_namespace:
            cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")
        if not had_crd:
            cluster.kubectl("delete", "crd", CRD, "--ignore-not-found", "--timeout=120s")
        cluster.restore()


def refusals(events: Sequence[Event]) -> list[str]:
    """What the API server refused the operator and the activators for want of rights, each once, by its audit log.

    `helm uninstall` takes the rights away one by one while the pods still end, until an install gives them back: what
    is refused in between, and shortly before and after since neither happens at once, is no fault.
    """
    found = [event for event in events if event.is_unauthorized and event.user in BOUND]
    changes = [event for event in events if event.is_write and event.resource in BINDINGS]
    faults = [event for event in found if not any(_is_unbound(name, changes, event.time) for name in BOUND[event.user])]
    return sorted({f"{event.verb} {event.group}/{event.resource} in {event.namespace or 'all'}" for event in faults})


def _is_unbound(name: str, changes: Iterable[Event], time: dt.datetime) -> bool:
    """Whether a binding was away, or on its way out or in, at this time."""
    away: dt.datetime | None = None
    for change in changes:
        if change.name == name and change.verb == "delete":
            away = away or change.time
        elif change.name == name and away is not None:
            if away - SETTLES <= time <= change.time + SETTLES:
                return True
            away = None
    return away is not None and away - SETTLES <= time


def chart_for_prometheus(cluster: Cluster) -> dict[str, Any]:
    """What the chart has scraped, its alerts, and what autoscalers may ask for, as `monitoring.start` takes them."""
    switches = [f"--set=monitoring.{name}.enabled=true" for name in MONITORING]
    rendered = cluster.helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *switches)
    made = [document for document in yaml.load_all(rendered, yaml.CSafeLoader) if document]
    adapter = next(document for document in made if document["metadata"]["name"] == f"{RELEASE}-prometheus-adapter")
    return {
        "scraped": [document for document in made if document["kind"] in {"PodMonitor", "ServiceMonitor"}],
        "rules": [document["spec"] for document in made if document["kind"] == "PrometheusRule"],
        "adapter_rules": yaml.safe_load(adapter["data"]["config.yaml"])["rules"],
    }
