"""A control plane without nodes: etcd and three Kubernetes processes on loopback. Needs no root; ready in seconds.

Pods are created and scheduled but nothing runs them, unless `Kwok` pretends to.
"""

import random
import socket
from pathlib import Path
from typing import Any, Self

import yaml

from tests.cluster import audit, build, components, go_tools, pki, processes, state
from tests.cluster.api import Api
from tests.cluster.cluster import Cluster
from tests.cluster.components import Site
from tests.cluster.paths import binary

_KIND = "control-plane"
_ADVERTISED = "192.0.2.1"  # of the documentation range: nothing answers, and the API server takes no loopback address
DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
_BELOW_EPHEMERAL = (20000, 32000)  # outgoing connections take their ports above


def free_port() -> int:
    """A loopback port that no server has and that no outgoing connection will be given."""
    while True:
        port = random.randint(*_BELOW_EPHEMERAL)  # noqa: S311 - no secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def prepare(site: Site, *, names: list[str], audit_policy: dict[str, Any]) -> pki.Authority:
    """Write keys, kubeconfigs and settings of a control plane.

    Args:
        site: where it will live.
        names: further names and addresses of the API server.
        audit_policy: what goes into the audit log.

    Returns:
        The authority, for more identities.
    """
    authority = pki.Authority(site.pki, "ca")
    front = pki.Authority(site.pki, "front-proxy-ca")
    pki.write_signing_key(site.pki)
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    addresses = ["localhost", "127.0.0.1", components.SERVICE_IP, site.advertise]
    authority.issue("apiserver", common_name="kube-apiserver", names=[*service, *addresses, *names])
    front.issue("front-proxy", common_name="front-proxy")
    add_user(site, authority, "admin", organization="system:masters")
    add_user(site, authority, "controller-manager", common_name="system:kube-controller-manager")
    add_user(site, authority, "scheduler", common_name="system:kube-scheduler")
    site.audit_policy.write_text(yaml.safe_dump(audit_policy))
    (site.folder / "scheduler.yaml").write_text(yaml.safe_dump(components.scheduler_config(site)))
    return authority


def add_user(
    site: Site, authority: pki.Authority, file: str, *, common_name: str = "", organization: str = "", name: str = ""
) -> Path:
    """Make FILE.crt, FILE.key and FILE.kubeconfig for one identity of the cluster."""
    pair = authority.issue(
        file, common_name=common_name or file, organization=organization, names=[name] if name else []
    )
    user = pki.certificate_user(pair)
    return pki.write_kubeconfig(
        site.kubeconfig_of(file), server=site.server, authority=authority.certificate, user=user
    )


def start_processes(site: Site, daemons: processes.Daemons) -> None:
    """Start the four processes and return when the API server takes requests.

    The controller manager and the scheduler wait for the API server: the controller manager gives up when the roles
    that it runs under are not there yet.
    """
    env = components.ENVIRONMENT
    daemons.start("etcd", _located(components.etcd(site)), env=env)
    daemons.start("kube-apiserver", _located(components.kube_apiserver(site)), env=env)
    api = Api(site.kubeconfig)
    daemons.wait("the API server", lambda: api.answers("/readyz"))
    api.close()
    daemons.start("kube-controller-manager", _located(components.kube_controller_manager(site)), env=env)
    daemons.start("kube-scheduler", _located(components.kube_scheduler(site)), env=env)


def _located(argv: list[str]) -> list[str]:
    return [str(binary(argv[0])), *argv[1:]]


class ControlPlane(Cluster):
    """`with ControlPlane() as cluster:` - several may run side by side; nothing is left afterwards."""

    def __init__(
        self,
        *,
        audit_reads: bool = False,
        audit_level: str = "Metadata",
        controller_qps: int = Site.controller_qps,
        feature_gates: tuple[str, ...] = (),
    ) -> None:
        build.ensure(go_tools.CONTROL_PLANE)
        state.sweep(_KIND)
        self._state = state.StateFolder(_KIND)
        folder = self._state.path
        self.site = Site(
            folder=folder,
            port=free_port(),
            advertise=_ADVERTISED,
            controller_qps=controller_qps,
            feature_gates=feature_gates,
        )
        self.audit_log = audit.AuditLog(self.site.audit_log)
        self.daemons = processes.Daemons(folder / "log")
        prepare(self.site, names=[], audit_policy=audit.policy(reads=audit_reads, level=audit_level))
        super().__init__(self.site.kubeconfig, folder)

    def start(self) -> None:
        """Start it; returns when pods can be created in the default namespace."""
        start_processes(self.site, self.daemons)
        self.daemons.wait("the default service account", lambda: self.api.answers(DEFAULT_ACCOUNT))

    def stop(self) -> None:
        """End every process and remove every file."""
        self.daemons.__exit__()
        self._state.remove()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
