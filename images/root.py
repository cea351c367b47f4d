"""Makes the root of an image that holds a Python program and what that needs, and nothing else. Runs in a build stage.

    python root.py --venv /opt/app --import app.main --user app:65532 --bom app.cdx.json --to /image

The environment, its interpreter, the standard library and the system libraries that any of these is linked with go to
the places where they are. So there is no shell, no package manager and no setuid file. Modules that are loaded at start
are compiled, since the file system is read-only later. A package named by --only-loaded, such as an API client with a
thousand generated modules, keeps of them those that are loaded by then. What came from Debian packages is added to the
bill of materials.
"""

import argparse
import json
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.util import cache_from_source
from pathlib import Path
from urllib.parse import quote

BYTECODE = "__pycache__"
UNUSED_FOLDERS = frozenset(
    {"curses", "dbm", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "sqlite3"}
    | {"test", "tests", "tkinter", "turtledemo", "venv"}
)
"""Of the standard library, beside compiled code; no server needs them."""
UNUSED_FILES = re.compile(
    r"(_test|_xx|xx|_ctypes_test|_sqlite3|_tkinter|_curses|_dbm|_gdbm|readline|nis|ossaudiodev)\S*\.so"
)
ELF = b"\x7fELF"
LOADED = "import sys, {}; print(*(getattr(m, '__file__', None) or '' for m in [*sys.modules.values()]), sep='\\n')"


class Root:
    """The root of the image while it is filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: set[Path] = set()
        """What was copied, by its place."""

    def add(self, path: Path) -> None:
        """Copy a file to the same place, with every link on the way to it."""
        for part in (*reversed(path.parents), path):
            if part.is_symlink():
                target, link = part.readlink(), self.inside(part)
                if not link.is_symlink():
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(target)
                self.add(Path(os.path.normpath(part.parent / target / path.relative_to(part))))
                return
        if path not in self.files:
            self.files.add(path)
            self.inside(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, self.inside(path))

    def write(self, name: str, text: str) -> None:
        """Write a file of the image's own."""
        path = self.inside(Path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def inside(self, path: Path) -> Path:
        """A place of this machine, in the image."""
        return self.folder / path.relative_to("/")


def run(*argv: str | Path, may_fail: bool = False) -> list[str]:
    """The lines that a program prints."""
    done = subprocess.run([*map(str, argv)], check=not may_fail, capture_output=True, text=True)
    return done.stdout.splitlines()


def add_program(root: Root, venv: Path, loaded: set[Path], only_loaded: list[str]) -> None:
    """Copy the environment with its interpreter, the standard library, and the system libraries below them."""
    thin = [site / name for site in venv.glob("lib/python3*/site-packages") for name in only_loaded]
    for path in walk(venv):
        if path.suffix == ".py" and path not in loaded and any(folder in path.parents for folder in thin):
            continue
        root.add(path)
    for path in walk(Path(sysconfig.get_path("stdlib")), but=UNUSED_FOLDERS):
        if not UNUSED_FILES.fullmatch(path.name) and not path.parent.name.startswith("config-"):
            root.add(path)
    for path in sorted(root.files):
        if path.read_bytes()[:4] == ELF:
            for library in re.findall(r"(/\S+) \(0x", "\n".join(run("ldd", path, may_fail=True))):
                root.add(Path(library))
    root.add(Path("/etc/ld.so.cache"))


def walk(folder: Path, *, but: Iterable[str] = ()) -> Iterator[Path]:
    """Files and links below a folder, without compiled code and without the folders named."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name not in {BYTECODE, *but}:
                yield from walk(path, but=but)
        elif not path.is_dir():
            yield path


def compile_loaded(root: Root, loaded: set[Path]) -> None:
    """Add the bytecode of what is loaded at start; it is taken without a look at the source's time."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for module in sorted(path for path in root.files & loaded if path.suffix == ".py"):
        target = root.inside(Path(cache_from_source(str(module))))
        py_compile.compile(str(module), cfile=str(target), dfile=str(module), invalidation_mode=mode, doraise=True)


def trim_records(root: Root, venv: Path) -> None:
    """Let each package's list of its files name what is there."""
    for record in venv.glob("lib/python3*/site-packages/*.dist-info/RECORD"):
        site = record.parents[1]
        there = [line for line in record.read_text().splitlines() if root.inside(site / line.split(",")[0]).exists()]
        root.write(str(record), "\n".join(there) + "\n")


def add_system(root: Root, bom: Path, venv: Path, user: str) -> None:
    """Write who runs the program and how names are found, and what the system's part is made of."""
    name, _, number = user.partition(":")
    root.write("/etc/passwd", f"root:x:0:0:root:/:/nologin\n{name}:x:{number}:{number}:{name}:/home/{name}:/nologin\n")
    root.write("/etc/group", f"root:x:0:\n{name}:x:{number}:\n")
    root.write("/etc/nsswitch.conf", "hosts: files dns\n")  # else /etc/hosts would be asked last
    root.inside(Path("/home") / name).mkdir(parents=True)
    root.inside(Path("/tmp")).mkdir()  # noqa: S108 - of the image
    root.inside(Path("/tmp")).chmod(0o1777)  # noqa: S108
    root.add(Path("/etc/os-release"))
    content = json.loads(bom.read_text())
    content["components"] += [*debian_components(root, venv), interpreter()]
    root.write(f"/usr/share/sbom/{bom.name}", json.dumps(content, indent=1) + "\n")


def interpreter() -> dict[str, str]:
    """The Python that runs the program."""
    version = platform.python_version()
    purl = f"pkg:generic/python@{version}"
    return {"type": "application", "bom-ref": purl, "name": "python", "version": version, "purl": purl}


def debian_components(root: Root, venv: Path) -> Iterator[dict[str, str]]:
    """The Debian packages that files of the image are from; each also where scanners of images look for it."""
    own = [str(path) for path in sorted(root.files) if venv not in path.parents]
    asked = own + [path.removeprefix("/usr") for path in own]  # packages from before /lib became a link
    found = {line.partition(": ")[0] for line in run("dpkg-query", "--search", *asked, may_fail=True)}
    distribution = "debian-" + platform.freedesktop_os_release()["VERSION_ID"]
    for package in sorted(found):
        shown = run("dpkg-query", "--show", "--showformat=${Package} ${Version} ${Architecture}", package)
        name, version, architecture = shown[0].split()
        root.write(f"/var/lib/dpkg/status.d/{name}", "\n".join(run("dpkg-query", "--status", package)) + "\n")
        notice = Path(f"/usr/share/doc/{name}/copyright")
        if notice.exists():
            root.add(notice)
        purl = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={architecture}&distro={distribution}"
        yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main() -> int:
    """Fill the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, required=True, help="environment of the program, without pip")
    parser.add_argument("--import", dest="imports", action="append", required=True, help="module loaded at start")
    parser.add_argument("--only-loaded", action="append", default=[], help="package to be cut down to what is loaded")
    parser.add_argument("--user", required=True, help="NAME:NUMBER of the user whom the image runs as")
    parser.add_argument("--bom", type=Path, required=True, help="CycloneDX file of the environment")
    parser.add_argument("--to", type=Path, required=True, help="the folder to fill")
    options = parser.parse_args()
    python = options.venv / "bin" / "python"
    loaded = {Path(line) for line in run(python, "-B", "-c", LOADED.format(", ".join(options.imports))) if line}
    root = Root(options.to)
    add_program(root, options.venv, loaded, options.only_loaded)
    compile_loaded(root, loaded)
    trim_records(root, options.venv)
    add_system(root, options.bom, options.venv, options.user)
    return 0


if __name__ == "__main__":
    sys.exit(main())
