"""Virtual environments beside the project's own, for what wants many packages of its own."""

import sys
from pathlib import Path

from tests.cluster import processes


def create(folder: Path) -> None:
    """Make one without pip: packages come by the pip of this Python."""
    processes.run([sys.executable, "-m", "venv", "--without-pip", folder])


def install(folder: Path, *arguments: str | Path) -> None:
    """Install exactly what is named, without what that depends on.

    Args:
        folder: the environment.
        arguments: of `pip install`.

    Raises:
        CommandError: something could not be had.
    """
    options = ("--disable-pip-version-check", "--no-cache-dir", "--no-deps")
    python = folder / "bin" / "python"
    processes.run([sys.executable, "-m", "pip", "--python", python, "install", *options, *arguments])
