"""What is in the images that the project builds: what they need, listed, and nothing that helps an intruder."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.cluster import archives, images
from tests.cluster.archives import Archive

pytestmark = pytest.mark.node

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
STATUSES = "var/lib/dpkg/status.d/"
IMAGES = {
    images.OPERATOR: {"user": "65532:65532", "lock": "operator", "own": "llmfleet-operator", "at_most": 85},
    images.SIM_ENGINE: {"user": "2000:2000", "lock": "sim-engine", "own": "llmfleet-sim-engine", "at_most": 60},
}
"""Size in MiB."""
TOOLS = {
    "sh",
    "bash",
    "dash",
    "busybox",
    "apt",
    "apt-get",
    "dpkg",
    "perl",
    "pip",
    "pip3",
    "su",
    "mount",
    "curl",
    "wget",
}
Facts = dict[str, Any]


@pytest.fixture(scope="module", params=IMAGES, ids=lambda name: name.split("/")[-1].split(":")[0])
def built(request: pytest.FixtureRequest) -> Iterator[tuple[Archive, Facts]]:
    with archives.opened(images.archive(request.param)) as archive:
        yield archive, IMAGES[request.param]


def bill(archive: Archive) -> Facts:
    loaded: Facts = json.loads(archive.bill_of_materials()[1])
    return loaded


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def listed(archive: Archive, kind: str) -> dict[str, str]:
    """The bill's components of a kind of package, with their versions."""
    found = [part for part in bill(archive)["components"] if part.get("purl", "").startswith(f"pkg:{kind}/")]
    return {canonical(part["name"]): part["version"] for part in found}


def test_it_runs_as_a_number_that_is_not_root(built: tuple[Archive, Facts]) -> None:
    """A number, so that `runAsNonRoot` can be checked without looking into the image."""
    archive, facts = built
    assert archive.settings["User"] == facts["user"]
    assert f":x:{facts['user'].partition(':')[0]}:" in archive.read("etc/passwd").decode()


def test_nothing_in_it_changes_who_one_is(built: tuple[Archive, Facts]) -> None:
    assert [name for name, file in built[0].files.items() if file.mode & 0o6000] == []


def test_nothing_in_it_can_be_written_but_tmp(built: tuple[Archive, Facts]) -> None:
    """The root file system is mounted read-only; this is for those who forget to."""
    files = built[0].files.items()
    assert [name for name, file in files if not file.issym() and (file.mode & 0o002 or file.uid or file.gid)] == ["tmp"]


def test_there_is_no_shell_and_no_tool(built: tuple[Archive, Facts]) -> None:
    assert [name for name in built[0].files if name.rpartition("/")[2] in TOOLS and "/bin/" in f"/{name}"] == []


def test_the_bill_of_materials_is_what_is_installed(built: tuple[Archive, Facts]) -> None:
    """Each Python package and each Debian package by its version, none more and none less."""
    archive, facts = built
    infos = [re.search(r"/([^/]+)-([^-/]+)\.dist-info/METADATA$", name) for name in archive.files]
    installed = {canonical(found[1]): found[2] for found in infos if found}
    assert installed.pop(facts["own"]) == bill(archive)["metadata"]["component"]["version"]
    assert listed(archive, "pypi") == installed
    locked = (ROOT / "images" / facts["lock"] / "requirements.lock").read_text()
    assert installed == dict(re.findall(r"^([a-z0-9-]+)==(\S+)", locked, re.MULTILINE))
    statuses = [archive.read(name).decode() for name in archive.files if name.startswith(STATUSES)]
    debian = {canonical(fields["Package"]): fields["Version"] for fields in map(control, statuses)}
    assert listed(archive, "deb") == debian
    assert listed(archive, "generic").keys() == {"python"}


def control(text: str) -> dict[str, str]:
    """The fields of a Debian package that stand on one line."""
    return dict(re.findall(r"^(\S+): (.*)$", text, re.MULTILINE))


def test_the_bill_of_materials_is_as_cyclonedx_wants_it(built: tuple[Archive, Facts]) -> None:
    content = built[0].bill_of_materials()[1].decode()
    version = SchemaVersion.from_version(json.loads(content)["specVersion"])
    assert JsonStrictValidator(version).validate_str(content) is None


def test_packages_list_the_files_that_are_there(built: tuple[Archive, Facts]) -> None:
    """Also the Kubernetes client, of which most is left out."""
    archive, _ = built
    for record in [name for name in archive.files if name.endswith(".dist-info/RECORD")]:
        site = Path(record).parents[1]
        names = [line.split(",")[0] for line in archive.read(record).decode().splitlines()]
        assert names
        assert [name for name in names if not name.startswith("..") and str(site / name) not in archive.files] == []


def test_it_says_what_it_is(built: tuple[Archive, Facts]) -> None:
    labels = built[0].settings["Labels"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert {"title", "description"} <= {name.rpartition(".")[2] for name in labels}


def test_it_is_as_small_as_the_readme_says(built: tuple[Archive, Facts]) -> None:
    archive, facts = built
    assert archive.size < facts["at_most"] * MIB
    assert f"at most {facts['at_most']} MiB" in (ROOT / "charts" / "llmfleet" / "README.md").read_text()
