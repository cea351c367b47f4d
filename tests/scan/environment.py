"""checkov in a virtual environment of its own below the cache folder, by hash: it wants a hundred packages.

`python -m tests.scan.environment` makes it now. What was made completely has a stamp; anything else is made anew.
"""

import hashlib
import shutil
import sys
import time
from pathlib import Path

from tests.cluster import virtual_environment
from tests.cluster.paths import cache_folder, exclusive

LOCK = Path(__file__).parent / "checkov.lock"


def folder() -> Path:
    """Where the environment is."""
    return cache_folder() / "checkov"


def ensure() -> Path:
    """Make the environment unless it is there as the lock file wants it; the program.

    Raises:
        CommandError: something could not be installed; the next call begins again.
    """
    stamp = folder() / "complete"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    with exclusive(cache_folder() / "checkov.lock"):
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"Making checkov's environment once, {folder()} (300 MB) ... ", end="", flush=True)
            began = time.monotonic()
            shutil.rmtree(folder(), ignore_errors=True)
            virtual_environment.create(folder())
            virtual_environment.install(folder(), "--require-hashes", "-r", LOCK)
            stamp.write_text(wanted)
            print(f"{time.monotonic() - began:.0f} s", flush=True)
    return folder() / "bin" / "checkov"


if __name__ == "__main__":
    print(ensure())
