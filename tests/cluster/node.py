"""A whole one-node cluster in namespaces of its own: containerd, kubelet, kube-proxy, DNS, real pods. Needs root.

No packet can leave it and nothing of it outlives it: ending its process 1 ends every process, mount, interface and
packet rule; a control group and one folder are removed afterwards, or by the next start if this process was killed.
"""

import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.cluster import audit, build, cgroups, go_tools, images, node_init, packages, processes, state
from tests.cluster.cluster import Cluster
from tests.cluster.components import CLUSTER_DOMAIN, Site
from tests.cluster.control_plane import add_user, free_port, prepare
from tests.cluster.node_settings import ADDRESS, NAME, NodeSite
from tests.cluster.paths import REPOSITORY

_KIND = "node"
_PID = "pid"
_KEPT = "kept"
_NAMESPACES = ("--pid", "--mount", "--net", "--uts", "--ipc")


class Node(Cluster):
    """`with Node() as node:` - several may run side by side; nothing is left afterwards."""

    def __init__(
        self, *, gpus: int = 4, keep: bool = False, audit_reads: bool = False, audit_level: str = "Metadata"
    ) -> None:
        """Prepare a node.

        Args:
            gpus: how many `nvidia.com/gpu` it pretends to have.
            keep: leave it up when this process ends; `stop_kept` ends it.
            audit_reads: log reads too, see `audit.policy`.
            audit_level: see `audit.policy`.
        """
        packages.ensure(packages.NODE)
        build.ensure(go_tools.NODE)
        clean_leftovers()
        self._keep = keep
        self._state = state.StateFolder(_KIND)
        folder = self._state.path
        self._relays: list[processes.Daemon] = []
        self.guests: dict[str, processes.Daemon] = {}
        """What `start_daemon` started, by name."""
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        port = self._listener.getsockname()[1]
        self.node = NodeSite(site=Site(folder=folder, port=port, advertise=ADDRESS, bind="0.0.0.0"), gpus=gpus)  # noqa: S104 - of the namespace
        self.audit_log = audit.AuditLog(self.node.site.audit_log)
        self.volumes = folder / "volumes"
        """A folder for hostPath volumes: the same path inside and outside."""
        self.volumes.mkdir()
        authority = prepare(self.node.site, names=[], audit_policy=audit.policy(reads=audit_reads, level=audit_level))
        user = f"system:node:{NAME}"
        add_user(self.node.site, authority, "kubelet", common_name=user, organization="system:nodes", name=ADDRESS)
        add_user(self.node.site, authority, "proxy", common_name="system:kube-proxy")
        super().__init__(self.node.site.kubeconfig, folder)

    def start(self) -> None:
        """Start it; returns when pods can run and find each other by name."""
        shutil.copy(images.pause(), self.folder / node_init.PAUSE_ARCHIVE)
        cgroups.create(self.node.cgroup)
        node_init.save(self.node)
        unshare = ["unshare", "--fork", "--kill-child", "--mount-proc", *_NAMESPACES]
        init = [sys.executable, "-m", "tests.cluster.node_init", str(self.folder)]
        self._process = processes.Daemon(
            "the node",
            [*unshare, *init],
            log=self.folder / "node.log",
            env={**self.env, "PYTHONPATH": str(REPOSITORY)},
            die_with_parent=not self._keep,
            pass_fds=[self._state.lock_fd],
        )
        processes.wait_until("process 1 of the node", self._find_pid)
        self._carry(self._listener, "127.0.0.1", self.node.site.port)
        processes.wait_until("the node", self._is_ready)

    def _find_pid(self) -> bool:
        self._process.check()
        outer = self._process.pid
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        if children:
            self.pid = int(children[0])
            (self.folder / _PID).write_text(str(self.pid))
        return bool(children)

    def _is_ready(self) -> bool:
        self._process.check()
        return (self.folder / node_init.READY).exists()

    def inside(self, *argv: str | Path) -> list[str]:
        """The command line that runs a command in the node's namespaces; Services have names and addresses there."""
        return _inside(self.pid, *argv)

    def run(self, *argv: str | Path, timeout: float | None = None) -> str:
        """Run a command in the node's namespaces and return what it printed; see `processes.run`."""
        return processes.run(self.inside(*argv), env=self.env, timeout=timeout)

    def start_daemon(self, name: str, argv: Sequence[str | Path]) -> None:
        """Run a program in the node's namespaces beside its components; it ends with the node, or when it is killed.

        What `setpriv` does there: the program ends with nsenter, which is all that this process can kill.
        """
        guarded = self.inside("setpriv", "--pdeathsig", "KILL", "--", *argv)
        log = self.folder / "log" / f"{name}.log"
        self.guests[name] = processes.Daemon(name, guarded, log=log, env=self.env, die_with_parent=not self._keep)

    def load_image(self, archive: Path) -> None:
        """Bring an image into the node, from an archive that `images.build` made."""
        self.run("ctr", "-n", "k8s.io", "images", "import", archive)

    def tag_image(self, image: str, other: str) -> None:
        """Give an image that is in the node another name."""
        self.run("ctr", "-n", "k8s.io", "images", "tag", image, other)

    def forward(self, host: str, port: int) -> int:
        """Make a port of the node's network, such as a Service's, reachable from the machine.

        Args:
            host: name or address inside, such as `qwen3-8b.team-a.svc`.
            port: its port.

        Returns:
            The loopback port outside. It stays as long as the node does.
        """
        listener = socket.create_server(("127.0.0.1", 0))
        outside = int(listener.getsockname()[1])
        self._carry(listener, f"{host}.{CLUSTER_DOMAIN}" if host.endswith(".svc") else host, port)
        return outside

    def _carry(self, listener: socket.socket, host: str, port: int) -> None:
        with listener:
            number = listener.fileno()
            argv = self.inside(sys.executable, "-m", "tests.cluster.relay", str(number), host, str(port))
            log = self.folder / f"relay-{port}.log"
            relay = processes.Daemon("relay", argv, log=log, env=self.env, die_with_parent=False, pass_fds=[number])
            self._relays.append(relay)

    def stop(self) -> None:
        """End it and remove everything that it left."""
        if hasattr(self, "pid"):
            _kill(self.pid)
        for daemon in (*self.guests.values(), *self._relays):
            daemon.kill()
        if hasattr(self, "_process"):
            self._process.kill()
        cgroups.remove(self.node.cgroup)
        self._state.remove()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._keep:
            (self.folder / _KEPT).touch()
            self._state.release()
        else:
            self.stop()


def _inside(pid: int, *argv: str | Path) -> list[str]:
    enter = ["nsenter", f"--target={pid}", *_NAMESPACES, f"--wdns={REPOSITORY}"]
    return [*enter, "--", *(str(word) for word in argv)]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def clean_leftovers() -> list[Path]:
    """Remove what nodes left whose starter was killed; returns their folders."""
    return state.sweep(_KIND, lambda folder: cgroups.remove(f"llmfleet-{folder.name}"))


def stop_kept() -> list[Path]:
    """End every node that was started with `keep` and remove what it left; returns their folders."""
    kept = [folder for folder in state.living(_KIND) if (folder / _KEPT).exists()]
    for folder in kept:
        _kill(int((folder / _PID).read_text()))
    processes.wait_until("the nodes' end", lambda: not set(kept) & set(state.living(_KIND)))
    return clean_leftovers()
