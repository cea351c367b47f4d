"""Panels of the autoscaler that both dashboards have, in words of their own."""

from charts.dashboards.panels import PER_SECOND, PERCENT, Panel, Query, graph
from charts.dashboards.queries import rate


def decisions(title: str, text: str) -> Panel:
    """Decisions per second, by reason."""
    query = Query(rate("llmfleet_scaling_decisions_total", by="reason"), "{{reason}}")
    return graph(title, text, query, unit=PER_SECOND, stacked=True)


def held(text: str) -> Panel:
    """Share of the time for which scaling or a start was held."""
    query = Query(rate("llmfleet_held_seconds_total", by="held, reason"), "{{held}}: {{reason}}")
    return graph("Time held", text, query, unit=PERCENT)
