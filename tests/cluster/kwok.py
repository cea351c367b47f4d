"""Nodes and pods by the thousand on a control plane: kwok writes what kubelets would write, and nothing runs."""

from pathlib import Path
from typing import Any, Self

from tests.cluster import build, go_tools
from tests.cluster.control_plane import ControlPlane
from tests.cluster.paths import binary

_STAGES = Path(__file__).parent / "kwok-stages.yaml"
POD_CIDR = "10.201.0.0/16"  # not loopback: the API server takes no such address into an EndpointSlice
_PLENTY = {"cpu": "100k", "memory": "1Pi", "pods": "100k"}


class Kwok:
    """`with ControlPlane() as cluster, Kwok(cluster, nodes=10, gpus=8):` - pods are scheduled, run and become Ready."""

    def __init__(self, cluster: ControlPlane, *, nodes: int = 1, gpus: int = 8) -> None:
        """Prepare it.

        Args:
            cluster: where the nodes shall be; it ends kwok with everything else.
            nodes: how many.
            gpus: how many `nvidia.com/gpu` each has. Of all other resources there is more than anybody asks for.
        """
        build.ensure(go_tools.SCALE)
        self._cluster = cluster
        self._nodes = [_node(f"gpu-{number}", gpus) for number in range(nodes)]

    def __enter__(self) -> Self:
        settings = [f"--kubeconfig={self._cluster.kubeconfig}", f"--config={_STAGES}", f"--cidr={POD_CIDR}"]
        options = ["--manage-all-nodes=true", "--node-lease-duration-seconds=40", "--server-address=127.0.0.1:0"]
        self._cluster.daemons.start("kwok", [binary("kwok"), *settings, *options])
        self._cluster.apply(*self._nodes)
        self._cluster.daemons.wait("kwok's nodes", self._all_ready)
        return self

    def _all_ready(self) -> bool:
        conditions = [c for node in self._cluster.select("nodes") for c in node["status"].get("conditions", [])]
        ready = [c for c in conditions if c["type"] == "Ready" and c["status"] == "True"]
        return len(ready) >= len(self._nodes)

    def __exit__(self, *_: object) -> None:
        self._cluster.daemons.kill("kwok")


def _node(name: str, gpus: int) -> dict[str, Any]:
    capacity = {**_PLENTY, "nvidia.com/gpu": str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": capacity, "allocatable": capacity},
    }
