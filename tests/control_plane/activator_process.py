"""An activator as a process beside the test, where the operator looks for one: in the slices of its Service.

EndpointSlices take no loopback addresses, so it listens at the machine's own.
"""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import yaml

from tests.cluster import ControlPlane
from tests.cluster.control_plane import free_port
from tests.control_plane.operator_process import ROOT, until

NAME = "llmfleet-activator"
"""Of the Service and the ConfigMap, as in the chart."""
PORTS = {"firstPort": 21000 + os.getpid() % 200 * 20, "ports": 20}
"""This process's own, so that several tests may run at a time."""


def address() -> str:
    """The machine's own address; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.1", 9))
        return str(one.getsockname()[0])


class ActivatorProcess:
    """`with ActivatorProcess(cluster, kubeconfig) as activator:` - Ready, as the operator sees it."""

    def __init__(self, cluster: ControlPlane, kubeconfig: Path, *, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.port = free_port()
        self.address = address()
        self._kubeconfig = kubeconfig
        self._log = cluster.folder / f"activator.{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        settings = self.cluster.folder / "activator.settings.yaml"
        settings.write_text(yaml.safe_dump({"activator": PORTS}))
        argv = [sys.executable, "-m", "llmfleet", "activate", f"--settings={settings}", f"--name={NAME}"]
        argv += [f"--home-namespace={self.namespace}", f"--port={self.port}", f"--host={self.address}"]
        meta = {"name": NAME, "namespace": self.namespace}
        self.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
        env = self.cluster.env | {"PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(self._kubeconfig)}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=env, stderr=log)
        until(lambda: self.status("/readyz") == 200, what="the activator is ready")
        self.appear(is_ready=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
        sys.stderr.write(self.log)

    def appear(self, *, is_ready: bool) -> None:
        """What Kubernetes says of its pod."""
        meta = {"name": NAME, "namespace": self.namespace, "labels": {"kubernetes.io/service-name": NAME}}
        endpoint: dict[str, Any] = {"addresses": [self.address], "conditions": {"ready": is_ready}}
        ports = [{"name": "http", "port": self.port, "protocol": "TCP"}]
        body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4"}
        self.cluster.apply(body | {"endpoints": [endpoint], "ports": ports})

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def status(self, path: str) -> int:
        """Of one of its own pages; 0 while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def ask(self, port: int, model: str) -> int:
        """A request at an object's port, as kube-proxy would bring it; the status of the answer."""
        body = f'{{"model": "{model}"}}'.encode()
        headers = {"Content-Type": "application/json"}
        url = f"http://{self.address}:{port}/v1/completions"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
