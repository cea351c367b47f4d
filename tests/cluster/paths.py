"""Where the library keeps what outlives a cluster: built binaries, image store, archives."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    """The folder that survives from run to run: `$LLMFLEET_CACHE`, else `~/.cache/llmfleet`."""
    chosen = os.environ.get("LLMFLEET_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "llmfleet"


def binary_folder() -> Path:
    """Where the binaries built from pinned Go modules are."""
    return cache_folder() / "bin"


def data_folder(name: str) -> Path:
    """What the module of a built program has beside its sources."""
    return cache_folder() / "share" / name


def binary(name: str) -> Path:
    """A built binary.

    Raises:
        FileNotFoundError: it was not built yet.
    """
    path = binary_folder() / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; build it with: python -m tests.cluster build {name}")
    return path


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Keep other processes out while something in the cache folder is made."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
