"""KEDA on a node: its two programs as pods, with the manifests of its own module."""

import os
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import build, go_tools, images, processes
from tests.cluster.api import resource
from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.paths import binary_folder, data_folder

NAMESPACE = "keda"
_IMAGES = {"keda": "operator", "keda-metrics-apiserver": "adapter"}
_EXTERNAL_METRICS = "/apis/external.metrics.k8s.io/v1beta1"


def archives() -> list[Path]:
    """The images of both programs; built if they are not there."""
    build.ensure(go_tools.KEDA_PROGRAMS)
    recipes = go_tools.MODULES / "keda"
    return [
        images.build(_image(name), recipes / f"{part}.Dockerfile", context=binary_folder())
        for name, part in _IMAGES.items()
    ]


def install(node: Node) -> None:
    """Bring KEDA onto a node; returns when ScaledObjects are served and external metrics answered."""
    for archive in archives():
        node.load_image(archive)
    folder = node.folder / "keda"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(_kustomization(folder)))
    node.kubectl("apply", "--server-side", "--kustomize", str(folder))
    processes.wait_until("KEDA's metrics", lambda: node.api.answers(_EXTERNAL_METRICS))


def is_served(cluster: Cluster) -> bool:
    """Whether the cluster has KEDA."""
    return cluster.api.answers(resource("scaledobjects").path())


def _image(name: str) -> str:
    return f"localhost/llmfleet/{name}:{go_tools.KEDA}"


def _kustomization(folder: Path) -> dict[str, Any]:
    """The module's smallest set of manifests, with images that are on the node and without waiting for probes."""
    base = os.path.relpath(data_folder("keda") / "minimal", folder.resolve())
    container = "/spec/template/spec/containers/0"
    changes = [
        {"op": "replace", "path": f"{container}/imagePullPolicy", "value": "Never"},
        {"op": "replace", "path": f"{container}/readinessProbe/initialDelaySeconds", "value": 1},
        {"op": "add", "path": f"{container}/readinessProbe/periodSeconds", "value": 1},
    ]
    return {
        "resources": [base],
        "images": [
            {"name": f"ghcr.io/kedacore/{name}", "newName": _image(name).rsplit(":", 1)[0], "newTag": go_tools.KEDA}
            for name in _IMAGES
        ],
        "patches": [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(changes)}],
    }
