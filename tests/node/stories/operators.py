"""The operator's pods, as the stories see them that stop, kill or replace them."""

import sys
import time

from tests.cluster import Node
from tests.cluster.cluster import Cluster
from tests.node.stories.site import NAMESPACE

DEPLOYMENT = "deployment/llmfleet"
LEASE = "llmfleet-operator"
PODS = "app.kubernetes.io/component=operator"

FIND_AND_KILL = """
import os, pathlib, sys
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        mine = f"HOSTNAME={sys.argv[1]}".encode() in (folder / "environ").read_bytes().split(b"\\0")
    except OSError:
        continue
    if mine:
        os.kill(int(folder.name), 9)
"""


def pods(cluster: Cluster, *, namespace: str = NAMESPACE) -> set[str]:
    """Names of the operator's pods, those on their way out too."""
    found = cluster.select("pods", namespace=namespace, labels=PODS)
    return {pod["metadata"]["name"] for pod in found}


def holder(cluster: Cluster, *, namespace: str = NAMESPACE) -> str:
    """Name of the process that holds the Lease, its pod's name and something of its own; empty while nobody does."""
    lease = cluster.find("lease", LEASE, namespace=namespace)
    return str(lease["spec"].get("holderIdentity") or "") if lease else ""


def pod_of(process: str) -> str:
    """The pod that a process runs in."""
    return process.split("_", maxsplit=1)[0]


def leader(cluster: Cluster, *, other_than: str = "", namespace: str = NAMESPACE) -> str:
    """The process that leads, as soon as one does: in the other pod, or in a new container of the same."""
    began = time.monotonic()
    while (process := holder(cluster, namespace=namespace)) in {"", other_than}:
        assert time.monotonic() - began < 60, "nobody leads"
        time.sleep(0.2)
    return process


def until_led_by_others(cluster: Cluster, than: set[str]) -> None:
    """Wait until none of these pods leads any more, but another."""
    began = time.monotonic()
    while pod_of(leader(cluster)) in than:
        assert time.monotonic() - began < 120, "an old pod still leads"
        time.sleep(0.2)


def kill(cluster: Cluster, process: str) -> None:
    """End an operator without a chance to say good-bye: SIGKILL on an own node, else the pod goes at once."""
    pod = pod_of(process)
    if isinstance(cluster, Node):
        cluster.run(sys.executable, "-c", FIND_AND_KILL, pod)
    else:
        cluster.kubectl("delete", "pod", pod, "--namespace", NAMESPACE, "--grace-period=0", "--force")
