"""Scrape settings made of PodMonitors and ServiceMonitors: Prometheus' own check takes them, and they say the same."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import monitors
from tests.cluster.paths import binary

PODS: dict[str, Any] = {
    "kind": "PodMonitor",
    "metadata": {"name": "engines", "namespace": "llmfleet"},
    "spec": {
        "namespaceSelector": {"any": True},
        "selector": {"matchExpressions": [{"key": "llmfleet.io/deployment", "operator": "Exists"}]},
        "podTargetLabels": ["llmfleet.io/deployment"],
        "podMetricsEndpoints": [
            {
                "port": "http",
                "relabelings": [{"sourceLabels": ["pod"], "targetLabel": "replica"}],
                "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}],
            }
        ],
    },
}
SERVICES: dict[str, Any] = {
    "kind": "ServiceMonitor",
    "metadata": {"name": "operator", "namespace": "llmfleet"},
    "spec": {"selector": {"matchLabels": {"app.kubernetes.io/name": "llmfleet"}}, "endpoints": [{"port": "http"}]},
}


def made_of(*given: dict[str, Any]) -> dict[str, Any]:
    return monitors.settings(given, kubeconfig=Path("/etc/admin.kubeconfig"), interval="1s")


def rules(job: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    """The job's relabelings that have these fields."""
    return [rule for rule in job["relabel_configs"] if wanted.items() <= rule.items()]


def test_prometheus_takes_them(tmp_path: Path) -> None:
    (tmp_path / "admin.kubeconfig").touch()
    file = tmp_path / "prometheus.yaml"
    settings = monitors.settings([PODS, SERVICES], kubeconfig=tmp_path / "admin.kubeconfig", interval="1s")
    file.write_text(yaml.safe_dump(settings))
    done = subprocess.run([binary("promtool"), "check", "config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pods_of_every_namespace_are_chosen_by_label_and_port() -> None:
    (job,) = made_of(PODS)["scrape_configs"]
    assert job["kubernetes_sd_configs"] == [{"kubeconfig_file": "/etc/admin.kubeconfig", "role": "pod"}]
    (present,) = rules(job, regex="true")
    assert present["source_labels"] == ["__meta_kubernetes_pod_labelpresent_llmfleet_io_deployment"]
    (port,) = rules(job, source_labels=["__meta_kubernetes_pod_container_port_name"])
    assert (port["action"], port["regex"]) == ("keep", "http")


def test_series_have_the_labels_that_the_prometheus_operator_gives_them() -> None:
    (job,) = made_of(PODS)["scrape_configs"]
    named = {rule["target_label"] for rule in job["relabel_configs"] if "target_label" in rule}
    assert named == {"namespace", "pod", "container", "job", "endpoint", "llmfleet_io_deployment", "replica"}
    assert rules(job, target_label="job")[-1]["replacement"] == "llmfleet/engines"
    assert job["metric_relabel_configs"] == [{"source_labels": ["__name__"], "regex": "python_.*", "action": "drop"}]


def test_a_service_monitor_looks_in_its_own_namespace_and_is_named_after_the_service() -> None:
    (job,) = made_of(SERVICES)["scrape_configs"]
    assert job["kubernetes_sd_configs"][0]["namespaces"] == {"names": ["llmfleet"]}
    assert rules(job, target_label="job")[-1]["source_labels"] == ["__meta_kubernetes_service_name"]
    assert rules(job, source_labels=["__meta_kubernetes_service_label_app_kubernetes_io_name"], action="keep")


@pytest.mark.parametrize(
    ("monitor", "words"),
    [
        ({**PODS, "kind": "Probe"}, "Probe engines: only PodMonitor"),
        (SERVICES | {"spec": {"selector": {}, "endpoints": [{"port": "http", "tlsConfig": {}}]}}, "tlsConfig"),
    ],
)
def test_what_is_not_understood_is_refused(monitor: dict[str, Any], words: str) -> None:
    """A monitor that would be scraped otherwise than on a user's cluster."""
    with pytest.raises(monitors.MonitorError, match=words):
        made_of(monitor)
