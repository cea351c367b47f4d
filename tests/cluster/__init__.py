"""Clusters for tests, demo and benchmarks: a control plane of processes, a whole node, an existing cluster."""

from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import ControlPlane

__all__ = ["Cluster", "ControlPlane"]
