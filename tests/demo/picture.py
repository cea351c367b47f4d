"""`python -m tests.demo.picture FILE`: the demo once more with a Prometheus, and the model's dashboard drawn from it.

Needs root, as the demo does. What is drawn is the first model at the end of the load.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cluster import Node, images, monitoring
from tests.cluster.prometheus import Prometheus
from tests.demo import __main__ as demo
from tests.demo import drawing, manifests, trace, watch
from tests.demo.model import Fleet
from tests.node.stories import site

MODEL = next(iter(manifests.MODELS))
VARIABLES = {"$__rate_interval": "15s", "$namespace": manifests.NAMESPACE, "$deployment": MODEL}
STEP = 2.0
"""Seconds between two points."""
SECONDS = 150.0
"""How long the load takes: the demo's trace, squeezed."""
LATE = 10.0
"""Seconds before the end of the load at which the picture ends: numbers are of a moment with requests."""


def lines(prometheus: Prometheus, panel: dict[str, Any], *, start: float, end: float) -> Iterator[drawing.Line]:
    """A panel's series."""
    for target in panel.get("targets", ()):
        expression = target["expr"]
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        first = end if target.get("instant") else start
        for series in prometheus.history(expression, start=first, end=end, step=STEP):
            name = drawing.legend(target["legendFormat"], series.labels)
            yield drawing.Line(name, series.labels, series.points)


def record(cluster: Node) -> tuple[float, float]:
    """Run the demo; returns when the load began and when it was nearly over."""
    requests = trace.requests(list(manifests.MODELS), seconds=SECONDS)
    demo.install(cluster)
    demo.apply(cluster, requests)
    log = watch.ClientLog(cluster)
    demo.wait_for_first_answers(log)
    start = time.time()
    demo.follow(cluster, log, {name: Fleet(name) for name in manifests.MODELS}, SECONDS)
    return start, start + SECONDS - LATE


def main(file: Path) -> None:
    """Run, ask, draw."""
    dashboard = json.loads((site.CHART / "files" / "dashboards" / "model.json").read_text())
    archives = [images.archive(name) for name in demo.IMAGES]
    with Node(gpus=demo.GPUS) as node:
        monitoring.start(node, **site.chart_for_prometheus(node))
        for archive in archives:
            node.load_image(archive)
        start, end = record(node)
        prometheus = monitoring.client(node)
        assert prometheus is not None
        data = {panel["id"]: list(lines(prometheus, panel, start=start, end=end)) for panel in dashboard["panels"]}
    note = (
        f"{MODEL}: simulated engines, a real chat trace in {SECONDS:.0f} s; minutes since the load began, pods by the "
        "end of their name. Drawn by this project from the dashboard's file and a real Prometheus."
    )
    file.write_text(drawing.picture(dashboard, data, note=note))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
