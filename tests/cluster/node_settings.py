"""Addresses and settings files of a whole node. Pure: what `node_init` writes and starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.components import CLUSTER_DOMAIN, Site

NAME = "node"
ADDRESS = "10.90.0.1"
"""Of the node, on the loopback interface of its own network namespace."""
POD_CIDR = "10.244.0.0/24"
PAUSE_IMAGE = "localhost/llmfleet/pause:1"
CNI_PLUGINS = Path("/usr/lib/cni")


@dataclass(frozen=True, kw_only=True)
class NodeSite:
    """Where one node lives."""

    site: Site
    gpus: int

    @property
    def folder(self) -> Path:
        """All its files."""
        return self.site.folder

    @property
    def memory(self) -> Path:
        """A file system in memory for everything that nobody reads afterwards, above all images."""
        return self.folder / "memory"

    @property
    def etc(self) -> Path:
        """Settings files."""
        return self.folder / "etc"

    @property
    def cgroup(self) -> str:
        """Name of the control group of all pods; unique on the machine."""
        return f"llmfleet-{self.folder.name}"


def containerd(node: NodeSite) -> str:
    """Settings of containerd (TOML).

    `restrict_oom_score_adj` is for machines whose root may not lower that score: each pod would fail with a message
    about a child's process id. AppArmor needs a program that a bare machine has not.
    """
    return f"""\
version = 2
root = "{node.memory}/containerd"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{node.etc}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def pod_network() -> dict[str, Any]:
    """The pods' network: a routed pair of interfaces for each pod; no bridge, no masquerading, no way out."""
    ranges = [[{"subnet": POD_CIDR}]]
    ipam = {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": ipam}]}


def kubelet(node: NodeSite) -> dict[str, Any]:
    """Settings of the kubelet. It removes no image and evicts nothing: an image could not be pulled again."""
    pki = node.site.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{pki}/kubelet.crt",
        "tlsPrivateKeyFile": f"{pki}/kubelet.key",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDomain": CLUSTER_DOMAIN,
        "clusterDNS": [ADDRESS],
        "resolvConf": f"{node.etc}/no-resolv.conf",
        "nodeStatusUpdateFrequency": "2s",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
    }


def kube_proxy(node: NodeSite) -> dict[str, Any]:
    """Settings of kube-proxy. The limits of connection tracking are read-only in a network namespace: left alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(node.site.kubeconfig_of("proxy"))},
        "mode": "nftables",
        "nftables": {"minSyncPeriod": "100ms"},  # the gap between "Ready" and "reachable through the Service"
        "clusterCIDR": POD_CIDR,
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def coredns(node: NodeSite) -> str:
    """The Corefile: names of the cluster and nothing else."""
    return f"""\
.:53 {{
    bind {ADDRESS}
    errors
    ready {ADDRESS}:8181
    kubernetes {CLUSTER_DOMAIN} {{
        kubeconfig {node.site.kubeconfig}
        pods insecure
    }}
}}
"""
