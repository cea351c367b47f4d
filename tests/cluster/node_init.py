"""Process 1 of a node: prepares its namespaces, starts every component, says when it is ready, reaps orphans.

Runs as `python -m tests.cluster.node_init FOLDER` inside fresh pid, mount, network, uts and ipc namespaces. When it
ends, the kernel ends every process, mount, interface and packet rule of the node with it.
"""

import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path

import yaml

from tests.cluster import node_settings, processes
from tests.cluster.api import Api
from tests.cluster.components import Site
from tests.cluster.control_plane import DEFAULT_ACCOUNT, start_processes
from tests.cluster.node_settings import ADDRESS, NAME, POD_CIDR, NodeSite
from tests.cluster.paths import binary

READY = "ready"
PAUSE_ARCHIVE = "pause.tar"
_PROXY_HEALTH = f"http://{ADDRESS}:10256/healthz"
_SELF = f"/api/v1/nodes/{NAME}"
_DNS_HEALTH = f"http://{ADDRESS}:8181/ready"


def save(node: NodeSite) -> None:
    """Write down for process 1 what it shall be."""
    site = {**asdict(node.site), "folder": str(node.folder)}
    (node.folder / "node.json").write_text(json.dumps({"site": site, "gpus": node.gpus}))


def load(folder: Path) -> NodeSite:
    """Read what `save` wrote."""
    document = json.loads((folder / "node.json").read_text())
    site = Site(**{**document["site"], "folder": Path(document["site"]["folder"])})
    return NodeSite(site=site, gpus=document["gpus"])


def main(folder: Path) -> int:
    """Run the node until one of its components ends, which nothing half alive survives."""
    os.environ["PATH"] = f"/usr/local/sbin:/usr/sbin:/sbin:{os.environ['PATH']}"  # ip, nft
    node = load(folder)
    with processes.Daemons(folder / "log") as daemons:
        began = time.monotonic()
        _isolate(node)
        _write_settings(node)
        _start(node, daemons)
        (folder / READY).write_text(f"{time.monotonic() - began:.2f}")
        ended = _reap(daemons)
    print(f"{ended} ended: {processes.tail(folder / 'log' / f'{ended}.log', lines=3)}", flush=True)
    return 1


def _isolate(node: NodeSite) -> None:
    """Give the node file systems, a name and a network of its own."""
    socket.sethostname(NAME)
    processes.run(["mount", "--make-rshared", "/"])
    processes.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])
    node.memory.mkdir()
    processes.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", node.memory])
    for top in ("etc", "var"):
        upper, work = node.memory / top / "upper", node.memory / top / "work"
        upper.mkdir(parents=True)
        work.mkdir()
        layers = f"lowerdir=/{top},upperdir={upper},workdir={work}"
        processes.run(["mount", "-t", "overlay", "-o", layers, "overlay", f"/{top}"])
    _write_names()
    # The node's address is on lo, because not every kernel has dummy interfaces; the default route through lo lets
    # local processes send to service addresses; the unreachable route makes a dead pod's address fail at once.
    commands = [
        "link set lo up",
        f"address add {ADDRESS}/32 dev lo",
        f"route add default dev lo src {ADDRESS}",
        f"route add unreachable {POD_CIDR}",
    ]
    processes.run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _write_names() -> None:
    """Point name look-ups at CoreDNS: with the machine's own servers, unreachable from here, each one would hang."""
    resolver = Path("/etc/resolv.conf")
    resolver.unlink(missing_ok=True)  # may be a link into /run
    resolver.write_text(f"nameserver {ADDRESS}\nsearch svc.cluster.local cluster.local\n")
    Path("/etc/hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")


def _write_settings(node: NodeSite) -> None:
    cni = node.etc / "cni"
    cni.mkdir(parents=True)
    (cni / "10-pods.conflist").write_text(json.dumps(node_settings.pod_network()))
    (node.etc / "containerd.toml").write_text(node_settings.containerd(node))
    (node.etc / "kubelet.yaml").write_text(yaml.safe_dump(node_settings.kubelet(node)))
    (node.etc / "kube-proxy.yaml").write_text(yaml.safe_dump(node_settings.kube_proxy(node)))
    (node.etc / "Corefile").write_text(node_settings.coredns(node))
    (node.etc / "no-resolv.conf").write_text("")


def _start(node: NodeSite, daemons: processes.Daemons) -> None:
    """Start everything and return when pods can run and find each other by name."""
    etc, site = node.etc, node.site
    daemons.start("containerd", ["containerd", f"--config={etc}/containerd.toml", "--log-level=warn"])
    start_processes(site, daemons)
    daemons.wait("containerd", lambda: processes.succeeds(["ctr", "version"]))
    processes.run(["ctr", "-n", "k8s.io", "images", "import", node.folder / PAUSE_ARCHIVE])
    kubelet = [f"--config={etc}/kubelet.yaml", f"--kubeconfig={site.kubeconfig_of('kubelet')}"]
    place = [f"--root-dir={node.memory}/kubelet", f"--hostname-override={NAME}", f"--node-ip={ADDRESS}"]
    daemons.start("kubelet", [binary("kubelet"), *kubelet, *place])
    daemons.start(
        "kube-proxy", [binary("kube-proxy"), f"--config={etc}/kube-proxy.yaml", f"--hostname-override={NAME}"]
    )
    daemons.start("coredns", [binary("coredns"), "-conf", etc / "Corefile"])
    api = Api(site.kubeconfig)
    daemons.wait("the node's registration", lambda: api.answers(_SELF))
    _add_gpus(node, api)
    daemons.wait("the node", lambda: _is_ready(api))
    daemons.wait("the default service account", lambda: api.answers(DEFAULT_ACCOUNT))
    daemons.wait("CoreDNS", lambda: _answers(_DNS_HEALTH))
    daemons.wait("kube-proxy", lambda: _answers(_PROXY_HEALTH))


def _add_gpus(node: NodeSite, api: Api) -> None:
    """Pretend accelerators: an extended resource that the scheduler counts, with nothing behind it."""
    patch = {"status": {"capacity": {"nvidia.com/gpu": str(node.gpus)}}}
    api.request("PATCH", f"{_SELF}/status", body=patch, content_type="application/merge-patch+json")


def _is_ready(api: Api) -> bool:
    conditions = api.get(_SELF)["status"]["conditions"]
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - a constant http address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _reap(daemons: processes.Daemons) -> str:
    """Reap orphans, as process 1 must, until a component ends; returns its name."""
    while True:
        pid, _ = os.wait()
        if name := daemons.name_of(pid):
            return name


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
