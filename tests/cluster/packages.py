"""The Debian packages that a bare machine lacks, and why: installed when root, else named with the command to type."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import processes


@dataclass(frozen=True, kw_only=True)
class Package:
    """One Debian package."""

    name: str
    why: str
    proof: str
    """A program, or the path of a file, that is there when the package is."""

    @property
    def installed(self) -> bool:
        """Whether it, or another source of the same program, is there."""
        path = "/usr/sbin:/sbin:" + os.environ.get("PATH", os.defpath)
        return Path(self.proof).exists() if "/" in self.proof else shutil.which(self.proof, path=path) is not None


BUILD = (
    Package(
        name="ca-certificates",
        why="lets downloads be trusted",
        proof="/etc/ssl/certs/ca-certificates.crt",
    ),
)
NODE = (
    Package(name="containerd", why="runs the node's pods", proof="containerd"),
    Package(name="runc", why="starts their containers", proof="runc"),
    Package(name="containernetworking-plugins", why="connects them", proof="/usr/lib/cni/ptp"),
    Package(name="nftables", why="carries Services to them", proof="nft"),
    Package(name="iproute2", why="sets up the node's network", proof="ip"),
    Package(name="buildah", why="builds the images", proof="buildah"),
    Package(name="mmdebstrap", why="makes the images' base", proof="mmdebstrap"),
)


class MissingPackagesError(RuntimeError):
    """Packages are missing and may not be installed here; the message says what to type."""


def missing(wanted: tuple[Package, ...]) -> list[Package]:
    """Those that are not there."""
    return [package for package in wanted if not package.installed]


def ensure(wanted: tuple[Package, ...]) -> None:
    """Install what is missing, after a line that says what and why.

    Raises:
        MissingPackagesError: something is missing and this user is not root.
        CommandError: apt-get failed.
    """
    absent = missing(wanted)
    if not absent:
        return
    names = [package.name for package in absent]
    reasons = ", ".join(f"{package.name} ({package.why})" for package in absent)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    if os.geteuid() != 0:
        raise MissingPackagesError(f"missing: {reasons}. As root: {' '.join(install)}")
    print(f"Installing Debian packages: {reasons}", flush=True)
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    processes.run(["apt-get", "update"], env=env)
    processes.run(install, env=env)
