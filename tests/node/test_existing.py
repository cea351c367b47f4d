"""The stories on a cluster that is there already, as `make test CONTEXT=NAME` runs them; they leave it as it was."""

import sys

import pytest

from tests.cluster import Node, images, processes
from tests.cluster.cluster import Cluster
from tests.cluster.paths import REPOSITORY
from tests.node.stories.site import GPUS

pytestmark = pytest.mark.node

SOME = ("test_create", "test_two_operators_one_writes")
CLUSTER_WIDE = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,persistentvolumes,apiservices"
NAMESPACED = "pods,services,deployments,replicasets,configmaps,secrets,poddisruptionbudgets,leases"


def things(cluster: Cluster) -> str:
    """Everything outside of namespaces, the nodes' GPUs, and what is in the default namespace."""
    outside = cluster.kubectl("get", CLUSTER_WIDE, "--output=name")
    inside = cluster.kubectl("get", NAMESPACED, "--output=name")
    return outside + inside + str([node["status"]["capacity"] for node in cluster.select("nodes")])


def test_stories_on_an_existing_cluster() -> None:
    """A node of ours plays the part of somebody's cluster: stories of both sorts pass, and nothing of theirs stays."""
    archives = [images.archive(name) for name in images.STORIES]
    with Node(gpus=GPUS) as node:
        for archive in archives:
            node.load_image(archive)
        before = things(node)
        pytest_ = [sys.executable, "-m", "pytest", "-q", "tests/node/stories", "--context=llmfleet"]
        env = {"KUBECONFIG": str(node.kubeconfig)}
        said = processes.run([*pytest_, "-k", " or ".join(SOME)], env=env, cwd=REPOSITORY)
        assert f"{len(SOME)} passed" in said
        assert things(node) == before
