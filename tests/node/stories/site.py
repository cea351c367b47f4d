"""Where the stories happen: a node (or somebody's cluster) with the operator installed as the README says."""

import contextlib
from collections.abc import Iterator
from typing import Any

import yaml

from tests.cluster import ExistingCluster, Node, images
from tests.cluster.cluster import Cluster
from tests.cluster.paths import REPOSITORY

RELEASE = "llmfleet"
NAMESPACE = "llmfleet"
CHART = REPOSITORY / "charts" / "llmfleet"
OLD_ENGINE = "localhost/llmfleet/sim-engine:v0.10.2"
IMAGES = (images.OPERATOR, images.SIM_ENGINE, OLD_ENGINE)
GPUS = 48

PROFILE = {
    "memoryGiB": 140.4,  # the simulated engine plays an H200
    "computeCapability": "9.0",
    "gpusPerNode": 64,
    "resources": {"requests": {"cpu": "5m", "memory": "48Mi"}, "limits": {"memory": "512Mi"}},
}


def values(**settings: Any) -> dict[str, Any]:
    """Chart values: images that are on the node, short periods, two GPU profiles and one without a device."""
    repository, tag = images.OPERATOR.rsplit(":", 1)
    return {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"},
        "settings": {
            "engine": {
                "defaultImage": images.SIM_ENGINE,
                "allowedImages": ["localhost/llmfleet/*"],
                "imagePullPolicy": "IfNotPresent",
            },
            "gpuProfiles": [
                {"name": "sim", "default": True, "resourceName": "nvidia.com/gpu", **PROFILE},
                {"name": "sim-spot", "tolerations": [{"key": "spot", "operator": "Exists"}], **PROFILE},
                {"name": "cpu", "resourceName": "", **PROFILE},
            ],
            "scaling": {"scrapePeriodSeconds": 1, "decisionPeriodSeconds": 1, "staleAfterSeconds": 5},
            # The stories' models take 8,192 tokens, so the grace is 16.4 s.
            "hangs": {"graceSeconds": 8, "clusterReplacementsPerHour": 100},
            **settings,
        },
    }


def install(cluster: Cluster, *, verb: str = "install", extra: dict[str, Any] | None = None) -> None:
    """`helm install` (or `upgrade`) of the chart, with the stories' values and what is laid over them."""
    file = cluster.folder / "values.yaml"
    file.write_text(yaml.safe_dump(values() | (extra or {})))
    options = ["--namespace", NAMESPACE, "--create-namespace", "--values", str(file), "--wait", "--timeout", "120s"]
    cluster.helm(verb, RELEASE, str(CHART), *options)


@contextlib.contextmanager
def opened(context: str | None) -> Iterator[Cluster]:
    """A cluster with the operator in it; removed afterwards as far as it was made here."""
    if context:
        cluster = ExistingCluster(context)
        cluster.prepare(IMAGES, gpus=GPUS)
        install(cluster)
        try:
            yield cluster
        finally:
            cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")
        return
    archives = [images.archive(name) for name in IMAGES]
    with Node(gpus=GPUS) as node:
        for archive in archives:
            node.load_image(archive)
        install(node)
        yield node
