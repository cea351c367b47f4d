"""The Grafana dashboards of the chart, from which `make generate` writes charts/llmfleet/files/dashboards."""

from charts.dashboards import fleet, model
from charts.dashboards.grafana import dump
from charts.dashboards.panels import Dashboard

ALL: tuple[Dashboard, ...] = (fleet.DASHBOARD, model.DASHBOARD)


def files() -> dict[str, str]:
    """File name -> text."""
    return {f"{one.uid.removeprefix('llmfleet-')}.json": dump(one) for one in ALL}
