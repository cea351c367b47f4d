"""What the chart makes for those who watch, and only if asked for: monitors, rules, dashboards, the adapter's rules."""

from typing import Any

import pytest
import yaml

from tests.chart.chart import CHART, HelmError, Manifest, activators, is_activators, manifests, rendered
from tests.chart.observability import ALERTS, alerts
from tests.chart.test_rendering import values

WATCHING = values("monitoring")
KINDS = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}


def made(chart_values: dict[str, Any], kind: str, *, name: str = "") -> list[Manifest]:
    """Objects of a kind, but for the activators'."""
    found = [one for one in manifests(chart_values) if one["kind"] == kind and not is_activators(one)]
    return [one for one in found if name in one["metadata"]["name"]]


def with_monitoring(**changes: Any) -> dict[str, Any]:
    return WATCHING | {"monitoring": WATCHING["monitoring"] | changes}


def test_nothing_of_it_is_there_unless_asked_for() -> None:
    """An install on a cluster without the Prometheus operator must not fail, and `helm template` not depend on one."""
    found = manifests({})
    assert {one["kind"] for one in found} & KINDS == set()
    assert {one["metadata"]["name"] for one in found if one["kind"] == "ConfigMap"} == {
        "llmfleet-settings",
        "llmfleet-activator",
    }


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_prometheus_that_selects_by_label_finds_them(kind: str) -> None:
    (one,) = made(WATCHING, kind)
    assert one["metadata"]["labels"]["release"] == "prometheus"


def test_engines_are_scraped_in_every_namespace_and_told_apart() -> None:
    (monitor,) = made(WATCHING, "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == {"any": True}
    assert monitor["spec"]["selector"] == {
        "matchExpressions": [{"key": "llmfleet.io/deployment", "operator": "Exists"}]
    }
    assert monitor["spec"]["podTargetLabels"] == ["llmfleet.io/deployment"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == ("http", "/metrics", "5s")


def test_engines_are_scraped_only_where_they_are_served() -> None:
    chart_values = WATCHING | {"scope": "namespace", "watchNamespaces": ["team-a", "team-b"]}
    (monitor,) = made(chart_values, "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


def test_the_operators_series_keep_the_namespace_of_their_object() -> None:
    (monitor,) = made(WATCHING, "ServiceMonitor")
    (service,) = made(WATCHING, "Service")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_the_activators_are_scraped_too() -> None:
    (monitor,), (service,) = activators(WATCHING, "ServiceMonitor"), activators(WATCHING, "Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_rules_are_the_file_but_for_what_was_asked_for() -> None:
    (rule,) = made(with_monitoring(prometheusRule={"enabled": True}), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text())
    (changed,) = made(WATCHING, "PrometheusRule")
    found = {one["alert"]: one for group in changed["spec"]["groups"] for one in group["rules"]}
    assert set(found) == set(alerts()) - {"LLMFleetIdleGPUs"}
    assert found["LLMFleetAtMaximum"]["annotations"]["runbook_url"] == "https://wiki.example/llmfleet#llmfleetatmaximum"


def test_an_alert_that_there_is_not_cannot_be_left_out() -> None:
    with pytest.raises(HelmError, match='there is no alert "LLMFleetIdle", only: LLMFleetModelUnavailable'):
        rendered(with_monitoring(prometheusRule={"enabled": True, "disabled": ["LLMFleetIdle"]}))


def test_dashboards_are_the_files_by_the_byte_where_a_sidecar_finds_them() -> None:
    found = made(WATCHING, "ConfigMap", name="dashboard")
    files = {f"llmfleet-{path.name}": path.read_text().strip() for path in (CHART / "files" / "dashboards").iterdir()}
    assert {key: text for one in found for key, text in one["data"].items()} == files
    for one in found:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["annotations"] == {"grafana_folder": "GPUs"}


def test_the_adapter_gets_the_rules_of_the_values_file() -> None:
    """One source, in the shape of the adapter's own file and of its chart's values."""
    (one,) = made(WATCHING, "ConfigMap", name="prometheus-adapter")
    assert one["metadata"]["namespace"] == "monitoring"
    file = yaml.safe_load((CHART / "examples" / "prometheus-adapter-values.yaml").read_text())
    assert yaml.safe_load(one["data"]["config.yaml"]) == {"rules": file["rules"]["custom"]}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"podMonitor": {"interval": "15"}}, "at '/monitoring/podMonitor/interval'"),
        ({"podMonitors": {}}, "additional properties 'podMonitors' not allowed"),
        ({"dashboards": {"labels": {"grafana_dashboard": 1}}}, "at '/monitoring/dashboards/labels/grafana_dashboard'"),
    ],
)
def test_helm_refuses(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(HelmError) as refusal:
        rendered({"monitoring": wrong})
    assert words in str(refusal.value)
