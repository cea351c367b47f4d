"""Whether one operator keeps up with very many engines: `python -m tests.bench.scaling_loop_scale 1000 --replicas 2`.

The operator is a process of its own on the real API server, pods are kwok's, and at each pod's address a page server
(engine_fleet.py, another process) answers with a real page whose numbers move. All of it has a network of its own (root
is needed), in which the pods' addresses lead to the page server. Besides what the operator says of itself, the page
server tells how long each engine had to wait for its next look: that is a missed cycle seen from outside. Prometheus'
own look at the operator every 15 s is part of the load. Figures are printed, never asserted.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from prometheus_client.parser import text_string_to_metric_families

from llmfleet.api.v1alpha1 import PORT
from tests.bench.control_plane_scale import BATCH, CRD, ROOT, SETTINGS, cpu_seconds, deployment, resident_mib
from tests.cluster import ControlPlane, Kwok
from tests.cluster.control_plane import free_port
from tests.cluster.kwok import POD_CIDR
from tests.cluster.processes import wait_until

NAME = "tests.bench.scaling_loop_scale"
INSIDE = "LLMFLEET_BENCH_NETWORK"
"""Set in the process that has its own network."""
LIFTED_QPS = 1000
"""The controllers' requests per second while pods are made, which is not what is measured."""
SCRAPE_SECONDS = 15.0
"""How often Prometheus looks at the operator."""
SETTLE_SECONDS = 70.0
"""Rates are over a minute, and the first reports are written: then all is as it stays."""
PATIENCE = 900.0
"""Seconds until all pods are there at the latest."""

Totals = dict[str, float]
"""Sums over objects: `family` or `family{label}` -> value."""


@dataclass(frozen=True)
class Operator:
    """The process and its pages."""

    pid: int
    port: int

    def page(self) -> str:
        """Its metrics."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            text: str = answer.read().decode()
        return text

    def totals(self) -> Totals:
        """What it counts, all objects together."""
        found: Totals = {}
        for family in text_string_to_metric_families(self.page()):
            for sample in family.samples:
                told = ",".join(v for k, v in sorted(sample.labels.items()) if k not in {"namespace", "name"})
                key = f"{sample.name}{{{told}}}"
                found[key] = found.get(key, 0.0) + sample.value
        return found


@contextmanager
def operator(cluster: ControlPlane, log: Path) -> Iterator[Operator]:
    """The operator as a process of its own, with the periods of a production install."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.yaml"
        settings.write_text(yaml.safe_dump(SETTINGS))
        argv = [sys.executable, "-m", "llmfleet", "run", f"--settings={settings}", f"--port={port}"]
        env = cluster.env | {"PYTHONPATH": str(ROOT / "operator"), "PYTHONDONTWRITEBYTECODE": ""}  # as in an image
        with log.open("wb") as heard:
            process = subprocess.Popen(argv, env=env, stderr=heard)
        try:
            yield Operator(process.pid, port)
        finally:
            process.terminate()
            process.wait(timeout=60)


@contextmanager
def engines() -> Iterator[int]:
    """The page server; its process id."""
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.engine_fleet", str(PORT)], cwd=ROOT)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def looks() -> dict[str, list[float]]:
    """When each engine was asked for its page."""
    with urlopen(f"http://127.0.0.1:{PORT}/looks", timeout=30) as answer:
        found: dict[str, list[float]] = json.load(answer)
    return found


def scaled(number: int, replicas: int) -> dict[str, Any]:
    """One object of many, which our autoscaler scales; it has all replicas that it may have, and load for them."""
    found = deployment(number)
    found["spec"] |= {"replicas": replicas, "scaling": {"minReplicas": 1, "maxReplicas": replicas}}
    return found


def gaps(seen: dict[str, list[float]], began: float, ended: float) -> list[float]:
    """Seconds between two looks at the same engine within that time, in order; the open ends count too."""
    found = []
    for times in seen.values():
        within = [began, *(at for at in times if began < at < ended), ended]
        found += [after - before for before, after in itertools.pairwise(within)]
    return sorted(found)


def measure(number: int, *, replicas: int, seconds: float) -> Iterator[str]:
    """Lines of figures for that many objects with that many replicas each."""
    with ExitStack() as stack:
        server = stack.enter_context(engines())
        cluster = stack.enter_context(ControlPlane(controller_qps=LIFTED_QPS))
        cluster.apply_crd(CRD)
        stack.enter_context(Kwok(cluster, nodes=4, gpus=number * replicas))
        for start in range(0, number, BATCH):
            cluster.apply(*(scaled(i, replicas) for i in range(start, min(start + BATCH, number))))
        process = stack.enter_context(operator(cluster, cluster.folder / "operator.log"))
        began = time.monotonic()
        wait_until("all engines were looked at", lambda: len(looks()) >= number * replicas, timeout=PATIENCE, every=2.0)
        yield f"all {number * replicas} engines looked at {time.monotonic() - began:.0f} s after the operator's start"
        time.sleep(SETTLE_SECONDS)
        yield from _figures(process, server, number=number, seconds=seconds)


def _figures(process: Operator, server: int, *, number: int, seconds: float) -> Iterator[str]:
    before, cpu, other = process.totals(), cpu_seconds(process.pid), cpu_seconds(server)
    began, most, pages = time.monotonic(), 0.0, []
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(SCRAPE_SECONDS, left))
        asked = time.monotonic()
        process.page()
        pages.append(time.monotonic() - asked)
        most = max(most, resident_mib(process.pid))
    ended, used, served = time.monotonic(), cpu_seconds(process.pid) - cpu, cpu_seconds(server) - other
    after, waited = process.totals(), gaps(looks(), began, ended)
    changed = {key: value - before.get(key, 0.0) for key, value in after.items() if value != before.get(key, 0.0)}
    span = ended - began
    yield f"{span:.0f} s, {number} objects: CPU of the operator {60 * used / span:.1f} s a minute; {most:.0f} MiB"
    yield f"the pages' server: {60 * served / span:.1f} s a minute; load of the machine {os.getloadavg()[0]:.1f}"
    yield f"seconds between two looks at an engine: {_quantiles(waited)}, longest {waited[-1]:.2f}, of {len(waited)}"
    yield f"the operator's own page: {max(pages):.2f} s at most"
    for key in sorted(changed):
        if key.startswith(("llmfleet_scaling_", "llmfleet_scrapes", "llmfleet_errors", "llmfleet_api_writes")):
            yield f"  {key} +{changed[key]:g}"


def _quantiles(ordered: list[float]) -> str:
    at = {share: ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 99)}
    return ", ".join(f"p{share} {value:.2f}" for share, value in at.items())


def in_own_network() -> None:
    """Go on in a network of this process and its children alone, in which pods' addresses are local."""
    if INSIDE not in os.environ:
        if os.geteuid() != 0:
            sys.exit("scaling_loop_scale needs root: the pods' addresses have to lead to the page server.")
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", "--", sys.executable, "-m", NAME, *sys.argv[1:]])  # noqa: S606
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", POD_CIDR, "dev", "lo"], check=True)


def main() -> None:
    """Measure each number of objects that is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", type=int, default=[1000], help="objects (default: 1000)")
    parser.add_argument("--replicas", type=int, default=2, help="of each object (default: 2)")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of what is measured (default: 120)")
    arguments = parser.parse_args()
    in_own_network()
    for number in arguments.numbers:
        for line in measure(number, replicas=arguments.replicas, seconds=arguments.seconds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
