"""Pretends to be what serves custom and external metrics, and answers each metric once for each time that it is told.

So the real HorizontalPodAutoscaler controller takes one decision a step, whenever its clock comes round: what it is not
told it cannot have, and then it holds.
"""

import json
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tests.cluster import ControlPlane, pki
from tests.control_plane.kubelet import now

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
SERVICE = "pretended-metrics"

Answer = Mapping[str, str] | str
"""Quantities by pod, or the one of an external metric."""


def own_address() -> str:
    """An address of this machine that an EndpointSlice may name.

    Raises:
        OSError: there is none but loopback.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


class MetricsAdapter:
    """`with MetricsAdapter(cluster, address) as adapter:` - registered with the API server, with nothing to say yet."""

    def __init__(self, cluster: ControlPlane, address: str) -> None:
        """`address` is one of this machine's."""
        self.cluster, self._address = cluster, address
        self._told: dict[str, Answer] = {}
        self._asked: defaultdict[str, list[float]] = defaultdict(list)
        self._answered: defaultdict[str, list[float]] = defaultdict(list)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((address, 0), _handler(self))
        self._server.socket = _tls(cluster.folder / "metrics").wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.cluster.apply(*_objects(self._address, self._server.server_port))
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def tell(self, answers: Mapping[str, Answer]) -> None:
        """Answer these metrics once."""
        with self._lock:
            self._told.update(answers)

    def asked(self, metric: str) -> list[float]:
        """When somebody asked for it: monotonic seconds."""
        with self._lock:
            return list(self._asked[metric])

    def answered(self, metric: str) -> list[float]:
        """When it was answered."""
        with self._lock:
            return list(self._answered[metric])

    def take(self, metric: str) -> Answer | None:
        """The answer to a question, which is not given again."""
        at = time.monotonic()
        with self._lock:
            self._asked[metric].append(at)
            answer = self._told.pop(metric, None)
            if answer is not None:
                self._answered[metric].append(at)
            return answer


def _tls(folder: Path) -> ssl.SSLContext:
    pki.Authority(folder, "metrics-ca").issue("server", common_name=SERVICE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context


def _objects(address: str, port: int) -> list[dict[str, Any]]:
    meta = {"name": SERVICE, "namespace": "default"}
    ports = [{"name": "main", "port": port}]
    slice_meta = meta | {"labels": {"kubernetes.io/service-name": SERVICE}}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": slice_meta,
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        },
        *(
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"v1beta1.{group}"},
                "spec": {
                    "group": group,
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "insecureSkipTLSVerify": True,
                    "service": meta | {"port": port},
                },
            }
            for group in (CUSTOM, EXTERNAL)
        ),
    ]


def _handler(adapter: MetricsAdapter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = unquote(urlsplit(self.path).path).strip("/").split("/")
            body = self._discovery(parts) or self._metric(parts)
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body or _NOT_FOUND).encode())

        def _discovery(self, parts: list[str]) -> dict[str, Any] | None:
            if len(parts) != 3 or parts[1] not in {CUSTOM, EXTERNAL}:
                return None
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "/".join(parts[1:]), "resources": []}

        def _metric(self, parts: list[str]) -> dict[str, Any] | None:
            answer = adapter.take(parts[-1]) if "namespaces" in parts else None
            if answer is None:
                return None
            return _of_pods(parts[-1], answer) if isinstance(answer, Mapping) else _external(parts[-1], answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


_NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


def _of_pods(metric: str, quantities: Mapping[str, str]) -> dict[str, Any]:
    items = [
        {
            "describedObject": {"kind": "Pod", "namespace": "default", "name": pod, "apiVersion": "/v1"},
            "metric": {"name": metric},
            "timestamp": now(),
            "value": quantity,
        }
        for pod, quantity in quantities.items()
    ]
    return {"kind": "MetricValueList", "apiVersion": f"{CUSTOM}/v1beta1", "metadata": {}, "items": items}


def _external(metric: str, quantity: str) -> dict[str, Any]:
    item = {"metricName": metric, "metricLabels": {}, "timestamp": now(), "value": quantity}
    return {"kind": "ExternalMetricValueList", "apiVersion": f"{EXTERNAL}/v1beta1", "metadata": {}, "items": [item]}
