"""Command lines of the Kubernetes control plane, the same for a bare control plane and for a whole node. Pure."""

from dataclasses import dataclass
from pathlib import Path

SERVICE_CIDR = "10.96.0.0/16"
SERVICE_IP = "10.96.0.1"  # the first address of SERVICE_CIDR, which the API server takes for itself
CLUSTER_DOMAIN = "cluster.local"
SHIPPED_CONTROLLER_QPS = 20
"""Requests a second that each controller may make unless it is told otherwise, with bursts of half as much again."""
ENVIRONMENT = {"GOGC": "400"}
"""Of all four: they share few cores and plenty of memory, so garbage is collected less often."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where one control plane lives."""

    folder: Path
    port: int
    """Of the API server, on loopback; with a whole node the same number is free inside and outside its namespaces."""
    advertise: str
    """Address of the API server as pods see it; must not be loopback, the API server refuses that."""
    bind: str = "127.0.0.1"
    controller_qps: int = 1000
    """Requests a second of each controller: no limit worth the name, so that tests do not wait for it."""
    feature_gates: tuple[str, ...] = ()
    """Feature gates of the API server that are turned on."""

    @property
    def pki(self) -> Path:
        """Folder of keys, certificates and kubeconfigs."""
        return self.folder / "pki"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.kubeconfig_of("admin")

    def kubeconfig_of(self, user: str) -> Path:
        """Kubeconfig of an identity of the cluster."""
        return self.pki / f"{user}.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """One JSON document a line."""
        return self.folder / "audit.log"

    @property
    def audit_policy(self) -> Path:
        """What the API server writes to the audit log."""
        return self.folder / "audit-policy.yaml"

    @property
    def etcd_url(self) -> str:
        """A socket in the folder, so that no port is needed."""
        return f"unix://{self.folder}/etcd.sock"


def etcd(site: Site) -> list[str]:
    """The store. Nothing is synced to disk: it never outlives the cluster."""
    peer = (
        "http://127.0.0.1:2380"  # must look like an address, as must the advertised URL of clients; nobody uses either
    )
    return [
        "etcd",
        f"--data-dir={site.folder}/etcd",
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--quota-backend-bytes=4294967296",
        f"--listen-client-urls={site.etcd_url}",
        "--advertise-client-urls=http://127.0.0.1:2379",
        f"--listen-peer-urls=unix://{site.folder}/peer.sock",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def kube_apiserver(site: Site) -> list[str]:
    """The API server: RBAC, the default admission plugins (Pod Security among them), aggregation, audit log."""
    pki = site.pki
    return [
        "kube-apiserver",
        f"--etcd-servers={site.etcd_url}",
        f"--bind-address={site.bind}",
        f"--advertise-address={site.advertise}",
        f"--secure-port={site.port}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-client-certificate={pki}/admin.crt",
        f"--kubelet-client-key={pki}/admin.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        "--enable-aggregator-routing=true",
        f"--audit-policy-file={site.audit_policy}",
        f"--audit-log-path={site.audit_log}",
        *(f"--feature-gates={gate}=true" for gate in site.feature_gates),
    ]


def kube_controller_manager(site: Site) -> list[str]:
    """The controllers."""
    kubeconfig = site.kubeconfig_of("controller-manager")
    return [
        "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--kube-api-qps={site.controller_qps}",
        f"--kube-api-burst={site.controller_qps * 3 // 2}",
        "--pvclaimbinder-sync-period=1s",  # a claim made together with its volume is often bound by this alone
        "--concurrent-deployment-syncs=20",
        "--concurrent-replicaset-syncs=20",
        "--concurrent-service-endpoint-syncs=20",
        f"--service-account-private-key-file={site.pki}/sa.key",
        f"--root-ca-file={site.pki}/ca.crt",
        "--horizontal-pod-autoscaler-sync-period=2s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=2s",
        "--horizontal-pod-autoscaler-downscale-stabilization=4s",
    ]


def kube_scheduler(site: Site) -> list[str]:
    """The scheduler; reads its settings from `scheduler_config`."""
    return ["kube-scheduler", f"--config={site.folder}/scheduler.yaml", "--secure-port=0"]


def scheduler_config(site: Site) -> dict[str, object]:
    """Settings file of the scheduler: its request limits are lifted as well."""
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(site.kubeconfig_of("scheduler")), "qps": 1000, "burst": 2000},
        "leaderElection": {"leaderElect": False},
    }
