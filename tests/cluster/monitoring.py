"""Prometheus and prometheus-adapter on a node: series of its pods, and custom.metrics.k8s.io for autoscalers.

Both are processes of the node and end with it. Pods reach Prometheus at `SERVICE_URL`; tests ask `client(cluster)`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import build, go_tools, monitors, processes
from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.node_settings import ADDRESS
from tests.cluster.paths import binary
from tests.cluster.prometheus import Prometheus

NAMESPACE = "monitoring"
SERVICE_URL = f"http://prometheus.{NAMESPACE}.svc:9090"
"""Prometheus as pods see it."""
_PROMETHEUS_PORT = 9090
_ADAPTER_PORT = 6444
_CUSTOM_METRICS = "/apis/custom.metrics.k8s.io/v1beta1"
_INTERVAL = "2s"
_URL = "url"


def start(
    node: Node,
    *,
    scraped: Iterable[Mapping[str, Any]],
    adapter_rules: Iterable[Mapping[str, Any]],
    rules: Iterable[Mapping[str, Any]] = (),
) -> None:
    """Let both join a node; returns when queries and custom metrics are answered.

    Args:
        node: where they shall run.
        scraped: PodMonitors and ServiceMonitors.
        adapter_rules: which series become which custom metric, as prometheus-adapter's `rules`; at least one.
        rules: the `spec` of PrometheusRules: alerts and recorded series.
    """
    build.ensure(go_tools.MONITORING)
    folder = _folder(node)
    (folder / "rules").mkdir(parents=True)
    settings = monitors.settings(scraped, kubeconfig=node.kubeconfig, interval=_INTERVAL)
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    (folder / "adapter.yaml").write_text(yaml.safe_dump({"rules": list(adapter_rules)}))
    for number, groups in enumerate(rules):
        (folder / "rules" / f"{number}.yaml").write_text(yaml.safe_dump(dict(groups)))
    node.start_daemon("prometheus", _prometheus(node))
    node.start_daemon("prometheus-adapter", _adapter(node))
    node.apply(*_objects())
    (folder / _URL).write_text(f"http://127.0.0.1:{node.forward(ADDRESS, _PROMETHEUS_PORT)}")
    _wait(node)
    processes.wait_until("custom metrics", lambda: _are_alive(node) and serves_custom_metrics(node))


def stop_prometheus(node: Node) -> None:
    """End Prometheus alone: the adapter stays and has nothing to say."""
    node.guests.pop("prometheus").kill()


def restart_prometheus(node: Node) -> None:
    """Start it again, with the series that it had."""
    node.start_daemon("prometheus", _prometheus(node))
    _wait(node)


def _wait(node: Node) -> None:
    server = client(node)
    processes.wait_until("Prometheus", lambda: _are_alive(node) and server is not None and server.is_ready())


def _are_alive(node: Node) -> bool:
    for guest in node.guests.values():
        guest.check()
    return True


def _folder(cluster: Cluster) -> Path:
    return cluster.folder / "monitoring"


def _prometheus(node: Node) -> list[str]:
    return [
        str(binary("prometheus")),
        f"--config.file={_folder(node)}/prometheus.yaml",
        f"--storage.tsdb.path={node.node.memory}/prometheus",
        f"--web.listen-address={ADDRESS}:{_PROMETHEUS_PORT}",
    ]


def _adapter(node: Node) -> list[str]:
    return [
        str(binary("prometheus-adapter")),
        *(f"--{use}-kubeconfig={node.kubeconfig}" for use in ("lister", "authentication", "authorization")),
        f"--prometheus-url=http://{ADDRESS}:{_PROMETHEUS_PORT}/",
        f"--config={_folder(node)}/adapter.yaml",
        "--metrics-relist-interval=2s",
        "--metrics-max-age=60s",  # many scrapes long, or a metric comes and goes
        f"--secure-port={_ADAPTER_PORT}",
        "--cert-dir=/run/prometheus-adapter",
    ]


def client(cluster: Cluster) -> Prometheus | None:
    """The Prometheus of a node of ours, from any process of this machine; None if the cluster has none."""
    url = _folder(cluster) / _URL
    return Prometheus(url.read_text()) if url.exists() else None


def serves_custom_metrics(cluster: Cluster) -> bool:
    """Whether somebody answers autoscalers that ask for custom metrics."""
    return cluster.api.answers(_CUSTOM_METRICS)


def _objects() -> list[dict[str, Any]]:
    """Services for both, whose endpoints are on the node itself, and the registration of the API."""
    group, version = "custom.metrics.k8s.io", "v1beta1"
    api_service = {
        "group": group,
        "version": version,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,  # it makes its certificate at start
        "service": {"name": "prometheus-adapter", "namespace": NAMESPACE, "port": 443},
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *_service("prometheus", port=_PROMETHEUS_PORT, target=_PROMETHEUS_PORT),
        *_service("prometheus-adapter", port=443, target=_ADAPTER_PORT),
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{version}.{group}"},
            "spec": api_service,
        },
    ]


def _service(name: str, *, port: int, target: int) -> list[dict[str, Any]]:
    """A Service without a selector, and its one endpoint: the node."""
    labels = {"kubernetes.io/service-name": name}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"ports": [{"name": "main", "port": port, "targetPort": target}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "main", "port": target, "protocol": "TCP"}],
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
        },
    ]
