"""The real vLLM for a CPU, in a virtual environment of its own below the cache folder.

`python -m tests.engine.environment` makes it now. It is made once: packages by hash, torch from a wheel that the user
names, and the Python files of three older vLLM for their parsers alone. What was made completely has a stamp; anything
else is made anew.
"""

import hashlib
import os
import platform
import shutil
import sys
import time
from pathlib import Path

from tests.cluster import images, packages, processes, virtual_environment
from tests.cluster.packages import Package
from tests.cluster.paths import REPOSITORY, cache_folder, exclusive

VERSION = "0.32.0"
IMAGE = f"localhost/llmfleet/vllm-cpu:v{VERSION}"
PARSERS = ("0.11.2", "0.15.1", "0.28.0")
"""Older releases whose real parser runs, oldest first."""
TORCH = "2.13.0+cpu"
VARIABLE = "LLMFLEET_TORCH_WHEEL"
PACKAGES = (
    Package(
        name="libnuma1",
        why="is what vLLM asks for the machine's memory",
        proof="/usr/lib/x86_64-linux-gnu/libnuma.so.1",
    ),
)
HERE = Path(__file__).parent
RECIPE = REPOSITORY / "images" / "vllm-cpu"
"""The same packages as an image, see there."""
_LOCK = RECIPE / "requirements.lock"
_INTERPRETER = f"cp{sys.version_info.major}{sys.version_info.minor}"
_HOW_TO_GET_ONE = (
    f"set {VARIABLE} to the wheel torch-{TORCH}-{_INTERPRETER}-{_INTERPRETER}-manylinux_2_28_x86_64.whl or to its "
    "folder; the PyTorch project has it in its own package index for CPUs (its installation page says how to ask pip)"
)
_LAYOUT = 1
"""Count up when this file makes something else of the same packages."""
_UNUSED = ("torch/test", "torch/include")
"""Folders of the wheel that running a model does not touch, 145 MB."""


def folder() -> Path:
    """Where the environment is."""
    return cache_folder() / f"vllm-{VERSION}"


def program(name: str) -> Path:
    """A program of the environment, such as `vllm` or `python`."""
    return folder() / "bin" / name


def parser_folder(version: str) -> Path:
    """Where the Python files of an older release are; to stand before those of the environment."""
    return folder() / "parsers" / version


def why_not() -> str:
    """The reason for which the real vLLM cannot run here, with what to do; empty if it can."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "the lock file is for Linux on x86_64"
    try:
        wheel()
    except FileNotFoundError as error:
        return str(error)
    return ""


def wheel() -> Path:
    """The wheel of torch that the user names.

    Raises:
        FileNotFoundError: none is named, or there is none for this Python; the message says how to get one.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        raise FileNotFoundError(f"needs torch for CPUs: {_HOW_TO_GET_ONE}")
    path = Path(named).resolve()
    pattern = f"torch-{TORCH}-{_INTERPRETER}-*linux*_x86_64.whl"
    found = sorted(path.glob(pattern)) if path.is_dir() else [path] * (path.is_file() and path.match(pattern))
    if not found:
        raise FileNotFoundError(f"{VARIABLE} is {named}, which is or has no wheel for this Python: {_HOW_TO_GET_ONE}")
    return found[0]


def image() -> Path:
    """The environment as an image, an archive; built if its sources changed. The wheel has to be there."""
    return images.build(IMAGE, RECIPE / "Dockerfile", others={"wheels": wheel().parent})


def ensure() -> None:
    """Make the environment unless it is there as the lock files want it.

    Raises:
        FileNotFoundError: there is no wheel, see `wheel`.
        MissingPackagesError, CommandError: something could not be installed; the next call begins again.
    """
    stamp = folder() / "complete"
    with exclusive(cache_folder() / "vllm.lock"):
        packages.ensure(PACKAGES)
        wanted = _digest(torch := wheel())
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"Making the real vLLM's environment once, {folder()} (some minutes, 2 GB)", flush=True)
        shutil.rmtree(folder(), ignore_errors=True)
        virtual_environment.create(folder())
        _step("torch", torch)
        _step(f"vLLM {VERSION} and its packages", "--require-hashes", "-r", _LOCK)
        site = next(folder().glob("lib/python3*/site-packages"))
        for unused in _UNUSED:
            shutil.rmtree(site / unused, ignore_errors=True)
        _name_as_vllm(site)
        for version in PARSERS:
            _add_parser(version)
        stamp.write_text(wanted)


def _step(what: str, *arguments: str | Path) -> None:
    began = time.monotonic()
    print(f"  {what} ... ", end="", flush=True)
    virtual_environment.install(folder(), *arguments)
    print(f"{time.monotonic() - began:.0f} s", flush=True)


def _add_parser(version: str) -> None:
    """Install an older release beside the environment and keep its Python files."""
    target = parser_folder(version)
    options = ("--no-compile", "--require-hashes", "--target", target)
    _step(f"Python files of vLLM {version}", *options, "-r", HERE / "parsers" / f"{version}.lock")
    for library in target.rglob("*.so"):
        library.unlink()
    _name_as_vllm(target)


def _name_as_vllm(site: Path) -> None:
    processes.run([sys.executable, RECIPE / "name_as_vllm.py", site])


def _digest(torch: Path) -> str:
    files = [_LOCK, *(HERE / "parsers" / f"{version}.lock" for version in PARSERS)]
    digest = hashlib.sha256(f"{_LAYOUT} {torch.name} {torch.stat().st_size} {sys.version}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Make it now, or say why it cannot be made."""
    if reason := why_not():
        print(reason, file=sys.stderr)
        return 1
    ensure()
    print(program("vllm"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
