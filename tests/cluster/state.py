"""Folders that hold the state of one cluster each and never outlive it by more than one start.

A folder is owned through an exclusive lock on a file in it. The kernel gives the lock up when the last process that
holds it dies, however it dies, so a folder whose lock can be taken is a leftover and the next start removes it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

_LOCK = "lock"


def state_root() -> Path:
    """The parent of all state folders: one for each user, short because socket paths end at 108 characters."""
    return Path(tempfile.gettempdir()) / f"llmfleet-{os.getuid()}"


class StateFolder:
    """A fresh folder for one cluster, locked as long as this process, or one that inherits `lock_fd`, lives."""

    def __init__(self, kind: str) -> None:
        root = state_root()
        root.mkdir(mode=0o700, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=root))
        self.path.chmod(0o755)  # containers of other users mount files from here
        self.lock_fd = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self.lock_fd, fcntl.LOCK_EX)

    def release(self) -> None:
        """Give the lock up but leave the folder: another process keeps both."""
        os.close(self.lock_fd)

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock_fd)


def sweep(kind: str, clean: Callable[[Path], None] = lambda _: None) -> list[Path]:
    """Remove the folders of clusters of this kind that died without cleaning up.

    Args:
        kind: the prefix the folders were made with.
        clean: what to undo outside the folder, called before it is removed.

    Returns:
        The folders removed.
    """
    return [folder for folder in sorted(state_root().glob(f"{kind}-*")) if _remove_if_dead(folder, clean)]


def living(kind: str) -> list[Path]:
    """The folders of clusters of this kind that are up."""
    return [
        folder for folder in sorted(state_root().glob(f"{kind}-*")) if (folder / _LOCK).exists() and _locked(folder)
    ]


def _locked(folder: Path) -> bool:
    """Whether a process holds the folder's lock."""
    with (folder / _LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _remove_if_dead(folder: Path, clean: Callable[[Path], None]) -> bool:
    try:
        if _locked(folder):
            return False
    except FileNotFoundError:  # being made or being removed at this moment
        return False
    clean(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return True
