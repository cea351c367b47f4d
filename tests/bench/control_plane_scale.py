"""How long the operator needs for many LLMDeployments, what it takes in memory, and whether it is silent at rest.

Run as `python -m tests.bench.control_plane_scale 300 1000`. Objects are there first, the operator starts last, on the
real API server with its controllers; no node, so pods stay Pending (with `--kwok` they run, which costs CPU of the same
machine). The controllers keep to the request limits that Kubernetes ships; `--controller-qps=1000` lifts them, and they
then take most of the machine's two cores from the first Deployment on. A figure is printed, never asserted.
"""

import argparse
import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import ControlPlane, Kwok
from tests.cluster.audit import Event, count
from tests.cluster.components import SHIPPED_CONTROLLER_QPS

ROOT = Path(__file__).parents[2]
CRD = ROOT / "crds" / "llmdeployments.serving.llmfleet.io.yaml"
SETTINGS = {"gpuProfiles": [{"name": "gpu", "default": True, "memoryGiB": 80}]}
BATCH = 100
SETTLED = 5.0
"""Seconds without a write of the operator, but for its Lease, after which it counts as done."""


def deployment(number: int) -> dict[str, Any]:
    """One object of many."""
    return {
        "apiVersion": "serving.llmfleet.io/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": f"model-{number}", "namespace": "default"},
        "spec": {"model": {"source": "hf://Qwen/Qwen3-8B"}},
    }


@contextmanager
def operator(cluster: ControlPlane) -> Iterator[subprocess.Popen[bytes]]:
    """The operator as a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.yaml"
        settings.write_text(yaml.safe_dump(SETTINGS))
        argv = [sys.executable, "-m", "llmfleet", "run", f"--settings={settings}", "--port=0"]
        with (Path(folder) / "log").open("wb") as log:
            env = cluster.env | {"PYTHONPATH": str(ROOT / "operator"), "PYTHONDONTWRITEBYTECODE": ""}  # as in an image
            process = subprocess.Popen(argv, env=env, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def resident_mib(pid: int) -> float:
    """Memory of a process now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(number: int, *, kwok: bool, controller_qps: int, quiet_seconds: float) -> str:
    """One line of figures for that many objects."""
    with ExitStack() as stack:
        cluster = stack.enter_context(ControlPlane(controller_qps=controller_qps))
        cluster.apply_crd(CRD)
        if kwok:
            stack.enter_context(Kwok(cluster, nodes=max(1, number // 8 + 1)))
        for start in range(0, number, BATCH):
            cluster.apply(*map(deployment, range(start, min(start + BATCH, number))))
        process = stack.enter_context(operator(cluster))
        began = dt.datetime.now(dt.UTC)
        applied = _children_applied(cluster, number, since=began)
        cpu = cpu_seconds(process.pid)
        _settle(cluster, since=began)
        writes = count(_own_writes(cluster, since=began))
        memory, whole_cpu = resident_mib(process.pid), cpu_seconds(process.pid)
        quiet_from = dt.datetime.now(dt.UTC)
        time.sleep(quiet_seconds)
        quiet = len(_own_writes(cluster, since=quiet_from))
        return (
            f"{number} objects, controllers at {controller_qps} requests/s: all children {applied:.1f} s after start; "
            f"CPU of the operator {cpu:.1f} s by then, "
            f"{whole_cpu:.1f} s in the end; {memory:.0f} MiB, later {resident_mib(process.pid):.0f} MiB; "
            f"{quiet} writes in {quiet_seconds:.0f} quiet seconds; before: {dict(writes)}; load of the machine "
            f"{os.getloadavg()[0]:.1f}"
        )


def _children_applied(cluster: ControlPlane, number: int, *, since: dt.datetime) -> float:
    """Seconds from `since` to the last child's creation."""
    kinds = {"deployments", "services", "poddisruptionbudgets"}
    while True:
        writes = _own_writes(cluster, since=since)
        created = [event.time for event in writes if event.resource in kinds and event.code == HTTPStatus.CREATED]
        if len(created) >= 3 * number:
            return (max(created) - since).total_seconds()
        time.sleep(1.0)  # reading the log takes CPU from what is measured


def _settle(cluster: ControlPlane, *, since: dt.datetime) -> None:
    while True:
        last = max(event.time for event in _own_writes(cluster, since=since))
        if (dt.datetime.now(dt.UTC) - last).total_seconds() > SETTLED:
            return
        time.sleep(0.5)


def _own_writes(cluster: ControlPlane, *, since: dt.datetime) -> list[Event]:
    writes = cluster.audit_log.writes(since=since, agent="llmfleet")
    return [event for event in writes if event.resource != "leases"]


def main() -> None:
    """Measure each number of objects that is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", type=int, default=[300], help="objects (default: 300)")
    parser.add_argument("--kwok", action="store_true", help="let kwok run the pods")
    parser.add_argument(
        "--controller-qps",
        type=int,
        default=SHIPPED_CONTROLLER_QPS,
        help="requests/s of each of Kubernetes' controllers (default: %(default)s, as shipped)",
    )
    parser.add_argument("--quiet-seconds", type=float, default=60.0, help="length of the quiet time (default: 60)")
    arguments = parser.parse_args()
    for number in arguments.numbers:
        line = measure(
            number,
            kwok=arguments.kwok,
            controller_qps=arguments.controller_qps,
            quiet_seconds=arguments.quiet_seconds,
        )
        print(line, flush=True)


if __name__ == "__main__":
    main()
