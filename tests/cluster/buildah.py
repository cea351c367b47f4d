"""buildah with a store of our own: no daemon, no registry, and a base image that is made instead of pulled.

The base goes into the store under the name of the real one, `python:3.11-slim`, so that Dockerfiles are those that
anybody would use. It is Debian 12 with Debian's Python 3.11, which needs no more than Debian's mirror.
"""

import ast
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.cluster import processes
from tests.cluster.paths import REPOSITORY

BASE = "docker.io/library/python:3.11-slim"
_PACKAGES = "ca-certificates,netbase,tzdata,python3,python3-pip,python3-venv"
_SEARCH_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class Store:
    """Images and layers below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._policy = f"--signature-policy={folder}/policy.json"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "registries.conf").write_text('unqualified-search-registries = ["docker.io"]\n')
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}\n')

    def build(self, image: str, dockerfile: Path, *, context: Path, others: Mapping[str, Path]) -> None:
        """Build an image, with this machine's certificates and pip settings mounted so that Dockerfiles need neither.

        Raises:
            CommandError: the build failed; the message has what it printed to stderr.
        """
        if BASE.rpartition("/")[2] in dockerfile.read_text():
            self._ensure_base()
        with tempfile.TemporaryDirectory() as scratch:
            volumes = [f"--volume={source}:{target}:ro" for source, target in _mounts(Path(scratch)).items()]
            contexts = [f"--build-context={name}={folder}" for name, folder in others.items()]
            options = ["--pull-never", "--layers", "--network=host", self._policy, *volumes, *contexts]
            self._buildah("bud", *options, "-f", str(dockerfile), "-t", image, str(context))

    def export(self, image: str, archive: Path) -> None:
        """Write an image to an archive, uncompressed: both ends are this machine."""
        archive.unlink(missing_ok=True)
        self._buildah("push", "-q", self._policy, image, f"docker-archive:{archive}:{image}")

    def _ensure_base(self) -> None:
        if self._buildah("images", "-q", "--filter", f"reference={BASE}").strip():
            return
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "root"
            _make_root(root)
            container = self._buildah("from", self._policy, "scratch").strip()
            self._buildah("add", "-q", container, str(root), "/")
            settings = [f"--env=PATH={_SEARCH_PATH}", "--env=LANG=C.UTF-8", "--cmd=python3"]
            self._buildah("config", *settings, container)
            self._buildah("commit", "-q", "--rm", self._policy, container, BASE)
        print(f"  {time.monotonic() - began:.0f} s for its base, {BASE}, from Debian packages", flush=True)

    def _buildah(self, command: str, *args: str) -> str:
        place = [f"--root={self._folder}/store", f"--runroot={self._folder}/run", f"--storage-driver={self._driver()}"]
        env = {"CONTAINERS_REGISTRIES_CONF": f"{self._folder}/registries.conf", "BUILDAH_ISOLATION": "chroot"}
        return processes.run(["buildah", *place, command, *args], env=env)

    def _driver(self) -> str:
        """Overlay, unless the folder is on an overlay itself (inside a container), which the kernel refuses."""
        kind = processes.run(["stat", "--file-system", "--format=%T", self._folder]).strip()
        return "vfs" if kind == "overlayfs" else "overlay"


def _make_root(root: Path) -> None:
    """Make a small Debian with Python and pip, in which pip may install for everybody as in the real image."""
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale")]
    trim = (
        'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/* "$1"/usr/lib/python3*/EXTERNALLY-MANAGED'
    )
    python = 'ln -s /usr/bin/python3 "$1/usr/local/bin/python"'
    options = ["--quiet", "--variant=minbase", f"--include={_PACKAGES}", '--aptopt=Acquire::Languages "none"']
    hooks = [f"--customize-hook={hook}" for hook in (trim, python)]
    processes.run(["mmdebstrap", *options, *left_out, *hooks, "bookworm", root])


def _mounts(scratch: Path) -> dict[Path, str]:
    """What a build sees of this machine: certificates, pip's settings and the local files that those name."""
    settings, named = _pip_settings()
    file = scratch / "pip.conf"
    file.write_text("\n".join(["[global]", *(f"{key} = {value}" for key, value in settings.items())]) + "\n")
    mounts = {file: "/etc/pip.conf", **{path: str(path) for path in named}}
    return mounts | ({_CERTIFICATES: str(_CERTIFICATES)} if _CERTIFICATES.exists() else {})


def _pip_settings() -> tuple[dict[str, str], list[Path]]:
    """What pip on this machine is told by files and by the environment, and which local paths that names."""
    python = REPOSITORY / ".venv" / "bin" / "python"
    settings: dict[str, str] = {}
    for line in processes.run([python, "-m", "pip", "config", "list"]).splitlines():
        key, _, quoted = line.partition("=")
        settings[key.rpartition(".")[2]] = str(ast.literal_eval(quoted))
    paths = [Path(value) for value in settings.values() if value.startswith("/")]
    return settings, [path for path in paths if path.exists()]
