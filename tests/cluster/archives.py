"""What is in an image's archive: its files, its settings, and its bill of materials.

`python -m tests.cluster.archives FOLDER` writes the bill of materials of each of the project's images there.
"""

import json
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster import images

BILLS = "usr/share/sbom/"
_WHITEOUT = ".wh."


class Archive:
    """An image as `docker save` writes it, open."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        (manifest,) = self._json("manifest.json")
        self.settings: dict[str, Any] = self._json(manifest["Config"])["config"]
        """User, environment, labels."""
        layers = [tar.extractfile(name) for name in manifest["Layers"]]
        self.files: dict[str, tarfile.TarInfo] = {}
        """By name, as they are in a container; later layers win."""
        self._places: dict[str, tarfile.TarFile] = {}
        for layer in (tarfile.open(fileobj=file) for file in layers):  # noqa: SIM115 - gone with the archive
            for member in layer:
                self._take(layer, member)

    def read(self, name: str) -> bytes:
        """The content of a file."""
        content = self._places[name].extractfile(self.files[name])
        if content is None:
            raise FileNotFoundError(f"{name} is no file")
        return content.read()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(member.size for member in self.files.values())

    def bill_of_materials(self) -> tuple[str, bytes]:
        """Name and content of the only one."""
        (name,) = (name for name in self.files if name.startswith(BILLS) and name.endswith(".json"))
        return name.removeprefix(BILLS), self.read(name)

    def _take(self, layer: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        folder, _, name = member.name.rpartition("/")
        if name.startswith(_WHITEOUT):
            gone = f"{folder}/{name.removeprefix(_WHITEOUT)}".lstrip("/")
            self.files = {path: info for path, info in self.files.items() if not f"{path}/".startswith(f"{gone}/")}
        else:
            self.files[member.name] = member
            self._places[member.name] = layer

    def _json(self, name: str) -> Any:
        content = self._tar.extractfile(name)
        if content is None:
            raise FileNotFoundError(f"{name} is not in the archive")
        return json.loads(content.read())


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an image's archive."""
    with tarfile.open(path) as tar:
        yield Archive(tar)


def main(argv: list[str]) -> int:
    """Write the bills of materials into a folder."""
    folder = Path(argv[0])
    folder.mkdir(parents=True, exist_ok=True)
    for image in (images.OPERATOR, images.SIM_ENGINE):
        with opened(images.archive(image)) as archive:
            name, content = archive.bill_of_materials()
        (folder / name).write_bytes(content)
        print(folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
