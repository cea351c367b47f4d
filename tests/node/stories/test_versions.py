"""From the previous version of chart and operator to this one and back, while engines serve."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cluster import ExistingCluster, Node, images, processes
from tests.cluster.cluster import Cluster
from tests.cluster.paths import REPOSITORY
from tests.node.stories import operators, site
from tests.node.stories.release import remove_everything, skip_if_shared, streaming
from tests.node.stories.site import NAMESPACE, RELEASE
from tests.node.stories.tenant import Tenant, spec

pytestmark = [pytest.mark.node, pytest.mark.alone, pytest.mark.thorough, pytest.mark.usefixtures("release")]

PREVIOUS = "a2b7786f7471004b0adf803cfe0e746af704c78b"
"""The commit to come from. Nothing has been released yet: afterwards it is the tag of the last release."""
PREVIOUS_IMAGE = "localhost/llmfleet/operator:previous"
PARTS = ("LICENSE", "pyproject.toml", "charts/llmfleet", "images/operator", "operator/llmfleet")


def previous_sources(folder: Path) -> Path:
    """Chart and operator as they were, in a folder."""
    folder.mkdir()
    archive = ["git", "archive", "--format=tar", f"--output={folder}.tar", PREVIOUS, *PARTS]
    if subprocess.run(archive, cwd=REPOSITORY, check=False).returncode != 0:
        pytest.skip(f"commit {PREVIOUS[:7]} is not in this clone")
    processes.run(["tar", "--extract", f"--file={folder}.tar", f"--directory={folder}"])
    return folder


def bring_previous_image(cluster: Cluster, sources: Path) -> None:
    """Build the operator as it was and bring it to the nodes."""
    if not isinstance(cluster, Node) and not (isinstance(cluster, ExistingCluster) and cluster.is_local):
        pytest.skip(f"needs the image {PREVIOUS_IMAGE}: on a node of ours, or one of kind or minikube")
    cluster.load_image(images.build(PREVIOUS_IMAGE, sources / "images/operator/Dockerfile", context=sources))


def install_previous(cluster: Cluster, sources: Path) -> None:
    """Install that chart with that operator, and with the stories' settings."""
    known = ("engine", "gpuProfiles", "scaling", "hangs")
    settings = {key: value for key, value in site.values()["settings"].items() if key in known}
    file = cluster.folder / "previous.yaml"
    file.write_text(yaml.safe_dump({"image": site.image(PREVIOUS_IMAGE), "settings": settings}))
    options = ["--namespace", NAMESPACE, "--create-namespace", "--values", str(file), "--wait", "--timeout=120s"]
    cluster.helm("install", RELEASE, str(sources / "charts" / "llmfleet"), *options)


def test_previous_version_to_this_and_back(cluster: Cluster, team: Tenant) -> None:
    """Engines of an object that does not change outlive the upgrade and the rollback, and serve every request."""
    skip_if_shared(cluster, team)
    sources = previous_sources(cluster.folder / "previous")
    bring_previous_image(cluster, sources)
    remove_everything(cluster)
    install_previous(cluster, sources)
    team.apply("lasting", spec(replicas=2))
    team.until_settled("lasting", replicas=2)
    engines = team.engines("lasting")
    client = streaming(team, "lasting")
    steps = (
        lambda: site.install(cluster, verb="upgrade"),
        lambda: cluster.helm("rollback", RELEASE, "1", "--namespace", NAMESPACE, "--wait", "--timeout=120s"),
    )
    for step in steps:
        old = operators.pods(cluster)
        step()
        operators.until_led_by_others(cluster, old)
        team.watch.during(5, lambda: team.engines("lasting") != engines, "engines changed with the operator")
    assert client.stop()["errors"] == []
    team.scale("lasting", 1)
    team.until_settled("lasting", replicas=1)
