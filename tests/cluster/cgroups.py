"""One control group for all pods of a node, in every hierarchy of the machine (one with cgroup v2, several with v1)."""

import os
import time
from contextlib import suppress
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def hierarchies() -> list[Path]:
    """The mount points of the hierarchies that pods go into."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [Path(fields[1]) for fields in mounts if fields[2] in {"cgroup", "cgroup2"}]


def create(name: str) -> None:
    """Make the group: the kubelet refuses a root group that is not there."""
    for hierarchy in hierarchies():
        _enable_controllers(hierarchy)
        (hierarchy / name).mkdir(exist_ok=True)


def remove(name: str) -> None:
    """Remove the group and all below it, waiting a moment for processes that are still dying in it.

    Raises:
        TimeoutError: processes in it stayed alive for 10 s.
    """
    deadline = time.monotonic() + 10
    while existing := [hierarchy / name for hierarchy in hierarchies() if (hierarchy / name).exists()]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"control groups are still in use: {', '.join(map(str, existing))}")
        for group in existing:
            _remove_tree(group)
        time.sleep(0.02)


def _remove_tree(group: Path) -> None:
    for folder, _, __ in os.walk(group, topdown=False):  # passes over what somebody else removes meanwhile
        with suppress(OSError):  # in use: the caller tries again
            Path(folder).rmdir()


def _enable_controllers(hierarchy: Path) -> None:
    """With cgroup v2, hand the controllers down that the kubelet wants; v1 has nothing to hand down."""
    control = hierarchy / "cgroup.subtree_control"
    if hierarchy != _MOUNT or not control.exists():
        return
    for controller in _CONTROLLERS:
        with suppress(OSError):  # not offered by this kernel: the kubelet does without
            control.write_text(f"+{controller}")
