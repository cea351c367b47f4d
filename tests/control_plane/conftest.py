"""The control plane that most of these tests start from."""

from collections.abc import Iterator

import pytest

from tests.cluster import ControlPlane
from tests.control_plane.kubelet import Kubelet, ready
from tests.control_plane.operator_process import install_crd


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    with ControlPlane() as control_plane:
        install_crd(control_plane)
        yield control_plane


@pytest.fixture(scope="module")
def all_ready(cluster: ControlPlane) -> Iterator[Kubelet]:
    """A kubelet whose pods are all ready at once."""
    with Kubelet(cluster, lambda _: ready()) as node:
        yield node
