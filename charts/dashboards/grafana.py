"""How Grafana spells a dashboard; its panels are placed from left to right. Pure.

Grafana's JSON model with schemaVersion 39 (Grafana 10.4 and newer): https://grafana.com/docs/grafana/latest/dashboards/
"""

import json
from typing import Any

from charts.dashboards.panels import COUNT, Dashboard, Panel, Query, Row, Variable

SCHEMA_VERSION = 39
COLUMNS = 24
HEIGHTS = {"stat": 4, "timeseries": 8, "table": 9}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

Json = dict[str, Any]


def dump(dashboard: Dashboard) -> str:
    """The file's text."""
    return json.dumps(_dashboard(dashboard), indent=1, ensure_ascii=False) + "\n"


def _dashboard(dashboard: Dashboard) -> Json:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.text,
        "tags": ["llmfleet", "vllm"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,  # one cross-hair for all panels
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "link", "title": title, "url": url, "keepTime": True} for title, url in dashboard.links],
        "templating": {"list": [_datasource(), *(_variable(one) for one in dashboard.variables)]},
        "annotations": {"list": []},
        "panels": _placed(dashboard.rows),
    }


def _datasource() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(variable: Variable) -> Json:
    found: Json = {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "definition": variable.query,
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": variable.several,
        "includeAll": variable.several,
        "hide": 0,
    }
    if variable.several:
        found |= {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}}
    return found


def _placed(rows: tuple[Row, ...]) -> list[Json]:
    """Each row's heading, and below it its panels, a new line where the next one does not fit."""
    placed: list[Json] = []
    top = 0
    for row in rows:
        heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append({"id": len(placed) + 1, **heading, "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1}})
        top, left, deepest = top + 1, 0, 0
        for panel in row.panels:
            height = HEIGHTS[panel.kind]
            if left + panel.width > COLUMNS:
                top, left, deepest = top + deepest, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            placed.append({"id": len(placed) + 1, **_panel(panel), "gridPos": place})
            left, deepest = left + panel.width, max(deepest, height)
        top += deepest
    return placed


def _panel(panel: Panel) -> Json:
    is_instant = panel.kind == "table"
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": DATASOURCE,
        "targets": [_target(query, number, instant=is_instant) for number, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _OPTIONS[panel.kind],
        **({"transformations": _transformations(panel)} if panel.kind == "table" else {}),
    }


def _target(query: Query, number: int, *, instant: bool) -> Json:
    shape = {"format": "table", "instant": True, "range": False} if instant else {"range": True}
    found = {"refId": chr(ord("A") + number), "datasource": DATASOURCE, "expr": query.expression, "editorMode": "code"}
    return found | shape | {"legendFormat": query.legend or "__auto"}


def _defaults(panel: Panel) -> Json:
    found: Json = {"unit": panel.unit}
    ends = dict(zip(("min", "max"), panel.limits, strict=True))
    found |= {name: value for name, value in ends.items() if value is not None and panel.kind != "table"}
    if panel.decimals is not None:
        found["decimals"] = panel.decimals
    if panel.kind == "stat":
        steps = [{"value": None, "color": "text"}, *({"value": at, "color": colour} for at, colour in panel.steps)]
        found |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
        found["noValue"] = "unknown"
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        drawing = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 8,
            "showPoints": "never",
        }
        found["custom"] = drawing | {
            "stacking": stacking,
            "lineInterpolation": "stepAfter" if panel.unit == COUNT else "linear",
        }
    return found


def _overrides(panel: Panel) -> list[Json]:
    """Units, headings and the link of a table's columns."""
    found = []
    for column, heading, unit in panel.columns:
        properties: list[Json] = [{"id": "displayName", "value": heading}, {"id": "unit", "value": unit}]
        if panel.link and column == "name":
            properties.append({"id": "links", "value": [{"title": "the model's dashboard", "url": panel.link}]})
        found.append({"matcher": {"id": "byName", "options": column}, "properties": properties})
    return found


def _transformations(panel: Panel) -> list[Json]:
    """One line for each LLMDeployment, from the answers to all queries."""
    order = {column: place for place, (column, _, _) in enumerate(panel.columns)}
    organize = {"indexByName": order, "includeByName": dict.fromkeys(order, True)}
    return [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]


_OPTIONS: dict[str, Json] = {
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "textMode": "auto",
    },
    "timeseries": {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
}
