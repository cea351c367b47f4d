"""Container images without Docker and without a registry: ordinary Dockerfiles, built into archives for containerd.

What is built is kept in the cache folder until its Dockerfile or a file that the Dockerfile copies changes.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tests.cluster import packages
from tests.cluster.buildah import Store
from tests.cluster.node_settings import PAUSE_IMAGE
from tests.cluster.paths import REPOSITORY, binary, cache_folder, exclusive

OPERATOR = "localhost/llmfleet/operator:dev"
NEXT_OPERATOR = "localhost/llmfleet/operator:next"
"""The same under another name: to a cluster, an upgrade to it is one to another version."""
SIM_ENGINE = "localhost/llmfleet/sim-engine:v0.32.0"
OLD_ENGINE = "localhost/llmfleet/sim-engine:v0.10.2"
STORIES = (OPERATOR, NEXT_OPERATOR, SIM_ENGINE, OLD_ENGINE)
"""What the stories on a whole node run."""
_IGNORED = frozenset({"__pycache__", ".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


def archive(image: str) -> Path:
    """The operator's or the simulated engine's image, with any tag, as an archive; built if its sources changed."""
    folder = image.rpartition("/")[2].partition(":")[0]
    return build(image, REPOSITORY / "images" / folder / "Dockerfile")


def pause() -> Path:
    """The image that holds a pod's namespaces, as an archive."""
    dockerfile = Path(__file__).parent / "go" / "pause" / "Dockerfile"
    return build(PAUSE_IMAGE, dockerfile, context=binary("pause").parent)


def build(
    image: str, dockerfile: Path, *, context: Path = REPOSITORY, others: Mapping[str, Path] = MappingProxyType({})
) -> Path:
    """Build an image unless neither its Dockerfile nor what that copies has changed since.

    Args:
        image: full name with tag.
        dockerfile: its recipe.
        context: what COPY is relative to.
        others: further contexts, by the name in `COPY --from=NAME`; the Dockerfile names what it takes by version.

    Returns:
        An archive that `ctr images import` takes.
    """
    folder = cache_folder() / "images"
    archive = folder / f"{image.rsplit('/', 1)[1].replace(':', '-')}.tar"
    stamp = archive.with_suffix(".json")
    inputs = json.dumps({"image": image, "sha256": _digest(dockerfile, context)})
    with exclusive(folder / "lock"):
        if archive.exists() and stamp.exists() and stamp.read_text() == inputs:
            return archive
        packages.ensure(packages.NODE)
        print(f"Building image {image}", flush=True)
        began = time.monotonic()
        stamp.unlink(missing_ok=True)
        store = Store(folder)
        store.build(image, dockerfile, context=context, others=others)
        store.export(image, archive)
        stamp.write_text(inputs)
        print(f"  {time.monotonic() - began:.0f} s, {archive.stat().st_size >> 20} MiB", flush=True)
    return archive


def _digest(dockerfile: Path, context: Path) -> str:
    """Hash of everything that goes into the image: the Dockerfile and the files that it copies, names and modes."""
    digest = hashlib.sha256(dockerfile.read_bytes())
    for source in _copied(dockerfile):
        for path in _files(context / source):
            digest.update(f"\0{path.relative_to(context)}\0{path.stat().st_mode & 0o111}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _copied(dockerfile: Path) -> Iterator[str]:
    """The sources, relative to the context, of the Dockerfile's COPY lines; those from other stages are no inputs."""
    lines = dockerfile.read_text().replace("\\\n", " ").splitlines()
    for words in (line.split() for line in lines):
        if words and words[0].upper() in {"COPY", "ADD"} and not any(word.startswith("--from=") for word in words):
            yield from (word for word in words[1:-1] if not word.startswith("--"))


def _files(path: Path) -> list[Path]:
    """The files at or below a path, sorted, without what tools leave in folders."""
    if path.is_file():
        return [path]
    found = [file for file in path.rglob("*") if file.is_file() and not _IGNORED & set(file.parts)]
    if not found:
        raise FileNotFoundError(f"{path}, which a Dockerfile copies, is not there")
    return sorted(found)
