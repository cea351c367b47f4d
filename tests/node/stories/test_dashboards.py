"""Dashboards and alerts on a Prometheus that scrapes a real run: every query has data, and in health nothing fires."""

import json
import math
import time
from collections.abc import Iterator

import pytest

from tests.chart.observability import alerts
from tests.cluster import monitoring, processes
from tests.cluster.cluster import Cluster
from tests.cluster.prometheus import Prometheus
from tests.node.stories.site import CHART
from tests.node.stories.tenant import Client, Tenant, spec, steady

pytestmark = pytest.mark.node

NAME = "watched"
SLOW = [{"name": "SIM_PROFILE", "value": "l4-8b"}]
SCALING = {"minReplicas": 1, "maxReplicas": 3, "scaleDownDelaySeconds": 300}
RATE_INTERVAL = "30s"
WITHOUT_DATA = {
    "start: {{reason}}": "no start fails",
    "Requests that wait at zero": "nothing of this story is at zero",
    "Models woken": "nothing of this story is at zero",
    "Requests refused at zero": "nothing of this story is at zero",
    "Wait for a replica": "nothing of this story is at zero",
}
"""Panels or legends that a healthy fleet of simulated engines leaves empty, and why."""


def queries(team: Tenant) -> Iterator[tuple[str, str]]:
    """Every query of every panel for this story's model: where it stands, and the expression."""
    values = {"$__rate_interval": RATE_INTERVAL, "$namespace": team.namespace, "$deployment": NAME}
    for path in sorted((CHART / "files" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                if {panel["title"], target["legendFormat"]} & WITHOUT_DATA.keys():
                    continue
                expression = target["expr"]
                for variable, value in values.items():
                    expression = expression.replace(variable, value)
                yield f"{path.stem}: {panel['title']} ({target['refId']})", expression


def has_data(prometheus: Prometheus, expression: str) -> bool:
    """Whether it gives at least one number; a quantile of nothing is none."""
    return any(not math.isnan(sample.value) for sample in prometheus.query(expression))


@pytest.fixture
def prometheus(cluster: Cluster) -> Prometheus:
    found = monitoring.client(cluster)
    if found is None:
        pytest.skip("no Prometheus of ours on somebody else's cluster")
    return found


@pytest.mark.long
def test_every_query_of_every_dashboard_has_data(team: Tenant, prometheus: Prometheus) -> None:
    """Under load that makes the replicas rise; and no alert fires for a fleet that does well."""
    team.apply(NAME, spec(env=SLOW, scaling=SCALING))
    team.until_settled(NAME, replicas=1)
    requests = steady(NAME, count=240, per_second=4, input_tokens=1000, output_tokens=100)
    client = Client(team, "load", urls=team.urls(NAME), requests=requests)
    client.until_started()
    missing, deadline = dict(queries(team)), time.monotonic() + 120
    assert len(missing) > 70
    while missing and time.monotonic() < deadline:
        missing = {place: query for place, query in missing.items() if not has_data(prometheus, query)}
        time.sleep(1)
    assert missing == {}
    team.watch.until("more replicas", lambda: len(team.ready(NAME)) > 1)
    assert client.result()["errors"] == []
    firing = [alert["labels"] for alert in prometheus.alerts() if alert["labels"].get("namespace") == team.namespace]
    assert firing == []


def test_every_alert_is_evaluated(prometheus: Prometheus) -> None:
    """On real series, where a join that finds two of one kind is an error."""

    def states() -> dict[str, str]:
        return {rule["name"]: f"{rule['health']} {rule.get('lastError', '')}".strip() for rule in prometheus.rules()}

    processes.wait_until("every alert is evaluated", lambda: "unknown" not in states().values())
    assert states() == dict.fromkeys(alerts(), "ok")
