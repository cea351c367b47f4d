"""What Prometheus scrapes, from the PodMonitors and ServiceMonitors that say so. Pure.

On a user's cluster the Prometheus operator turns these objects into scrape settings. Nodes of ours do without it, so
this does the same for the fields that the chart uses, and the series have the labels that they have there.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Relabeling = dict[str, Any]
_KINDS = {"PodMonitor": "podMetricsEndpoints", "ServiceMonitor": "endpoints"}
_META = "__meta_kubernetes"
_UNSUPPORTED = ("authorization", "basicAuth", "bearerTokenSecret", "oauth2", "tlsConfig", "params", "portNumber")


class MonitorError(ValueError):
    """A monitor says something that is not understood here."""


def settings(monitors: Iterable[Mapping[str, Any]], *, kubeconfig: Path, interval: str) -> dict[str, Any]:
    """Settings of Prometheus.

    Args:
        monitors: PodMonitors and ServiceMonitors, with their namespaces.
        kubeconfig: how it finds pods and Services.
        interval: time between two scrapes and between two evaluations of rules, whatever the monitors say.

    Raises:
        MonitorError: a monitor has a field that is not understood here.
    """
    jobs = [job for monitor in monitors for job in _jobs(monitor, kubeconfig)]
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "scrape_configs": jobs,
        "rule_files": ["rules/*.yaml"],
    }


def _jobs(monitor: Mapping[str, Any], kubeconfig: Path) -> list[dict[str, Any]]:
    kind, spec, name = monitor["kind"], monitor["spec"], monitor["metadata"]["name"]
    if kind not in _KINDS:
        raise MonitorError(f"{kind} {name}: only {', '.join(_KINDS)} are understood here")
    namespace = monitor["metadata"]["namespace"]
    discovery: dict[str, Any] = {
        "kubeconfig_file": str(kubeconfig),
        "role": "pod" if _is_pod(monitor) else "endpointslice",
    }
    chosen = spec.get("namespaceSelector", {})
    if not chosen.get("any"):
        discovery["namespaces"] = {"names": chosen.get("matchNames") or [namespace]}
    return [
        {
            "job_name": f"{kind}/{namespace}/{name}/{number}",
            "metrics_path": endpoint.get("path", "/metrics"),
            "honor_labels": endpoint.get("honorLabels", False),
            "kubernetes_sd_configs": [discovery],
            "relabel_configs": _relabelings(monitor, endpoint),
            "metric_relabel_configs": [_relabeling(item) for item in endpoint.get("metricRelabelings", [])],
        }
        for number, endpoint in enumerate(spec[_KINDS[kind]])
    ]


def _relabelings(monitor: Mapping[str, Any], endpoint: Mapping[str, Any]) -> list[Relabeling]:
    """Which targets are kept and which labels their series get, in the Prometheus operator's order."""
    if unknown := [field for field in _UNSUPPORTED if field in endpoint]:
        raise MonitorError(f"{monitor['metadata']['name']}: {', '.join(unknown)} is not understood here")
    port = f"{_META}_pod_container_port_name" if _is_pod(monitor) else f"{_META}_endpointslice_port_name"
    return [
        *_selected(monitor),
        _kept(port, endpoint["port"]),
        {"action": "drop", "source_labels": [f"{_META}_pod_phase"], "regex": "Failed|Succeeded"},
        *_labels(monitor),
        {"replacement": endpoint["port"], "target_label": "endpoint"},
        *(_relabeling(item) for item in endpoint.get("relabelings", [])),
    ]


def _is_pod(monitor: Mapping[str, Any]) -> bool:
    return bool(monitor["kind"] == "PodMonitor")


def _selected(monitor: Mapping[str, Any]) -> list[Relabeling]:
    """The selector's rules, on the labels of pods or of Services."""
    of = f"{_META}_pod" if _is_pod(monitor) else f"{_META}_service"
    selector = monitor["spec"]["selector"]
    equal = [_kept(f"{of}_label_{_safe(key)}", value) for key, value in selector.get("matchLabels", {}).items()]
    return [*equal, *(_expression(rule, of) for rule in selector.get("matchExpressions", []))]


def _labels(monitor: Mapping[str, Any]) -> list[Relabeling]:
    """Labels that tell the targets apart, and those of the pods that the monitor names."""
    metadata = monitor["metadata"]
    service = {} if _is_pod(monitor) else {"service": "service_name", "job": "service_name"}
    copied = {"namespace": "namespace", "pod": "pod_name", "container": "pod_container_name", **service}
    for label in monitor["spec"].get("podTargetLabels", []):
        copied[_safe(label)] = f"pod_label_{_safe(label)}"
    return [
        {"replacement": f"{metadata['namespace']}/{metadata['name']}", "target_label": "job"},
        *(
            {"source_labels": [f"{_META}_{source}"], "regex": "(.+)", "target_label": name}
            for name, source in copied.items()
        ),
    ]


def _expression(rule: Mapping[str, Any], of: str) -> Relabeling:
    label, operator = _safe(rule["key"]), rule["operator"]
    values = "|".join(re.escape(value) for value in rule.get("values", []))
    if operator in {"Exists", "DoesNotExist"}:
        found = {"source_labels": [f"{of}_labelpresent_{label}"], "regex": "true"}
    else:
        found = {"source_labels": [f"{of}_label_{label}"], "regex": values}
    return {**found, "action": "keep" if operator in {"Exists", "In"} else "drop"}


def _kept(label: str, value: str) -> Relabeling:
    return {"action": "keep", "source_labels": [label], "regex": re.escape(value)}


def _relabeling(item: Mapping[str, Any]) -> Relabeling:
    """The Prometheus operator's spelling of a relabeling in Prometheus' own."""
    return {re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", key): value for key, value in item.items()}


def _safe(label: str) -> str:
    """A Kubernetes label as a label of a series."""
    return re.sub("[^a-zA-Z0-9_]", "_", label)
