"""What the API server makes of claims for caches, and of images as volumes."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import ControlPlane
from tests.cluster.api import ApiError
from tests.control_plane.operator_process import Operator, Target, install_crd, now, until, writes
from tests.golden.test_golden import CASES, expected

pytestmark = pytest.mark.control_plane

SHARED = {"size": "1024Gi", "storageClassName": "shared", "accessMode": "ReadWriteMany"}
OCI = {"source": "oci://registry.example/qwen3:1"}


@pytest.fixture(scope="module")
def operator(cluster: ControlPlane) -> Iterator[Operator]:
    with Operator(cluster) as started:
        started.wait_until_leading()
        yield started


@pytest.fixture(scope="module")
def with_images() -> Iterator[ControlPlane]:
    """A control plane of today's default of Kubernetes 1.35: image volumes are on."""
    with ControlPlane(feature_gates=("ImageVolume",)) as started:
        install_crd(started)
        yield started


def test_a_cache_is_made_once_and_goes_with_its_object(cluster: ControlPlane, operator: Operator) -> None:
    """The API server writes the size in its own way, which is no difference to be applied again."""
    assert operator.leads()
    target = Target(cluster, "cached")
    target.apply(cache=SHARED)
    claim = cluster.get("persistentvolumeclaim", "cached-cache")
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Ti"
    assert (claim["spec"]["storageClassName"], claim["spec"]["accessModes"]) == ("shared", ["ReadWriteMany"])
    assert claim["metadata"]["ownerReferences"][0]["name"] == "cached"
    since = now()
    time.sleep(3.0)
    assert writes(cluster, since=since) == []
    volumes = target.get("deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "cache", "persistentVolumeClaim": {"claimName": "cached-cache"}} in volumes


def test_what_cannot_be_changed_of_a_cache_is_told_in_the_servers_words(
    cluster: ControlPlane, operator: Operator
) -> None:
    assert operator.leads()
    target = Target(cluster, "fixed")
    target.apply(cache=SHARED)
    target.apply(cache=SHARED | {"storageClassName": "other"})
    message = target.wait_for("SpecValid", reason="RefusedByCluster")["message"]
    assert "PersistentVolumeClaim" in message
    assert "immutable" in message
    target.apply(cache=SHARED)
    target.wait_for("SpecValid", reason="Valid")


def test_a_claim_of_somebody_elses_is_not_taken_over(cluster: ControlPlane, operator: Operator) -> None:
    assert operator.leads()
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "theirs-cache", "namespace": "default"}
    cluster.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec})
    target = Target(cluster, "theirs")
    target.apply(cache=SHARED)
    target.wait_for("SpecValid", reason="NameConflict")
    assert "ownerReferences" not in cluster.get("persistentvolumeclaim", "theirs-cache")["metadata"]


def test_without_image_volumes_no_pod_starts_and_the_condition_says_why(
    cluster: ControlPlane, operator: Operator
) -> None:
    """The administrator's settings claim that the cluster has them, and it has not: it would drop the volume."""
    assert operator.leads()
    target = Target(cluster, "image")
    target.apply(model=OCI)
    assert "no image volumes" in target.wait_for("SpecValid", reason="RefusedByCluster")["message"]
    assert not target.exists("deployment")


def test_with_image_volumes_the_pod_is_made(with_images: ControlPlane) -> None:
    with Operator(with_images) as operator:
        operator.wait_until_leading()
        target = Target(with_images, "image")
        target.apply(model=OCI)
        labels = "llmfleet.io/deployment=image"
        pods = until(lambda: with_images.select("pods", labels=labels), what="a pod of the image")
    volumes = pods[0]["spec"]["volumes"]
    wanted = {"reference": "registry.example/qwen3:1", "pullPolicy": "IfNotPresent"}
    assert next(volume for volume in volumes if volume["name"] == "model")["image"] == wanted


@pytest.mark.parametrize("case", CASES)
def test_a_restricted_namespace_takes_every_golden_pod(with_images: ControlPlane, case: str) -> None:
    """Pod Security is judged by the API server itself, and no field of ours is dropped."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    with_images.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted", "labels": labels}})
    until(lambda: with_images.find("serviceaccount", "default", namespace="restricted"), what="its account")
    template: dict[str, Any] = expected(case)[-1]["spec"]["template"]
    meta = template["metadata"] | {"name": case, "namespace": "restricted"}
    try:
        stored = with_images.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}, namespace="restricted"
        )[0]
    except ApiError as error:
        pytest.fail(str(error))
    names = {volume["name"]: volume.keys() for volume in template["spec"]["volumes"]}
    assert names.items() <= {volume["name"]: volume.keys() for volume in stored["spec"]["volumes"]}.items()
