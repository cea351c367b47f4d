"""Clusters for tests, demo and benchmarks: a control plane of processes, a whole node, an existing cluster."""

from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import ControlPlane
from tests.cluster.existing import ExistingCluster
from tests.cluster.kwok import Kwok
from tests.cluster.node import Node

__all__ = ["Cluster", "ControlPlane", "ExistingCluster", "Kwok", "Node"]
