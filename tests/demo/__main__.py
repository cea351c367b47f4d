"""`make demo`: the main job on real input, on a cluster of its own or, with --context, on yours.

A one-node cluster, `helm install`, two LLMDeployments, four minutes of a real chat trace through their Services; the
replicas follow. Exit code 1 if a single request failed.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from rich.console import Console
from rich.live import Live

from tests.cluster import ExistingCluster, Node, images
from tests.cluster.cluster import Cluster
from tests.cluster.paths import REPOSITORY
from tests.demo import manifests, trace, view, watch
from tests.demo.model import Fleet, summarize

POLL_S = 1.0
SETTLE_S = 90.0
PLAIN_PERIOD_S = 10.0
IMAGES = (images.OPERATOR, images.SIM_ENGINE)
GPUS = 2 * (manifests.MAX_REPLICAS + 1)
console = Console(highlight=False)


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0] if __doc__ else "")
    result.add_argument("--context", metavar="NAME", help="use this context of your kubeconfig, not an own cluster")
    result.add_argument("--keep", action="store_true", help="leave everything up at the end and say how to talk to it")
    result.add_argument("--seconds", type=float, default=trace.SLICE_SECONDS, help="length of the replay (240)")
    result.add_argument("--trace", type=Path, default=trace.SLICE, help="another CSV file with the same columns")
    return result


@contextlib.contextmanager
def cluster_of(options: argparse.Namespace) -> Iterator[Cluster]:
    """The cluster to play on, with the two images in it."""
    if options.context:
        existing = ExistingCluster(options.context)
        existing.prepare(IMAGES, gpus=GPUS)
        yield existing
        return
    if os.geteuid() != 0:
        raise SystemExit("a one-node cluster of its own needs root; with --context NAME the demo plays on yours")
    archives = [images.archive(name) for name in IMAGES]
    with Node(gpus=GPUS, keep=options.keep) as node:
        say("the one-node cluster is up")
        for archive in archives:
            node.load_image(archive)
        say("images loaded")
        yield node


STARTED = time.monotonic()


def say(words: str) -> None:
    """One step, with the seconds since the start."""
    console.print(f"{time.monotonic() - STARTED:5.1f} s  {words}")


def install(cluster: Cluster) -> None:
    """`helm install`, as in the README, with the demo's values."""
    chart_values = manifests.values(operator_image=images.OPERATOR, engine_image=images.SIM_ENGINE)
    file = cluster.folder / "demo-values.yaml"
    file.write_text(yaml.safe_dump(chart_values))
    chart = str(REPOSITORY / "charts" / "llmfleet")
    options = ["--namespace", manifests.RELEASE_NAMESPACE, "--create-namespace", "--values", str(file), "--wait"]
    cluster.helm("install", "llmfleet", chart, *options)
    say(f"helm install llmfleet {chart}")


def apply(cluster: Cluster, requests: list[trace.Request]) -> None:
    """`kubectl apply` of the two objects, and the client's pod."""
    cluster.apply(manifests.namespace())
    cluster.apply(*(manifests.llmdeployment(name) for name in manifests.MODELS))
    say(f"kubectl apply: LLMDeployments {' and '.join(manifests.MODELS)}")
    cluster.apply(*manifests.client(requests, image=images.SIM_ENGINE))
    cluster.kubectl("wait", "pod/client", "--namespace", manifests.NAMESPACE, "--for=condition=Ready", "--timeout=300s")


def follow(cluster: Cluster, log: watch.ClientLog, fleets: dict[str, Fleet], seconds: float) -> float:
    """Watch until every request is answered and the replicas are down again; returns how long that took."""
    began = time.monotonic()
    ended_at: float | None = None
    spoken = 0.0
    with Live(console=console, refresh_per_second=2) if console.is_terminal else contextlib.nullcontext() as live:
        while True:
            now = time.monotonic() - began
            look(cluster, log, fleets, now)
            if live:
                live.update(view.table(list(fleets.values()), second=now, total=seconds))
            elif now >= spoken:
                console.print(view.line(list(fleets.values()), second=now), soft_wrap=True)
                spoken = now + PLAIN_PERIOD_S
            if log.over and ended_at is None:
                ended_at = now
            if ended_at is not None and (settled(fleets) or now > ended_at + SETTLE_S):
                return now
            time.sleep(POLL_S)


def look(cluster: Cluster, log: watch.ClientLog, fleets: dict[str, Fleet], now: float) -> None:
    """One round of reading."""
    bodies, metrics = watch.objects(cluster), watch.operator_metrics(cluster)
    for name, fleet in fleets.items():
        fleet.see_object(bodies[name], now)
        fleet.see_metrics(metrics.get(name, {}))
        if log.report:
            fleet.see_client(log.report["models"][name])


def settled(fleets: dict[str, Fleet]) -> bool:
    """Whether every fleet is back at one replica."""
    return all(fleet.wanted == fleet.pods == 1 for fleet in fleets.values())


def wait_for_first_answers(log: watch.ClientLog) -> None:
    """Until both models have answered a request through their Services."""
    while len(log.first_answers) < len(manifests.MODELS) and not log.over:
        time.sleep(0.1)
    if log.over and log.end is None:
        raise SystemExit(f"no first answer: {log.failure}")
    say("first answers through the Services")


def play(cluster: Cluster, options: argparse.Namespace) -> int:
    """The whole demo; the exit code."""
    requests = trace.requests(list(manifests.MODELS), path=options.trace, seconds=options.seconds)
    install(cluster)
    apply(cluster, requests)
    log = watch.ClientLog(cluster)
    wait_for_first_answers(log)
    console.print(f"replaying {len(requests)} requests of a real chat trace in {options.seconds:.0f} s")
    fleets = {name: Fleet(name) for name in manifests.MODELS}
    seconds = follow(cluster, log, fleets, options.seconds)
    if log.end is None:
        console.print(f"the client ended early: {log.failure}")
        return 1
    result = summarize(list(fleets.values()), log.end, seconds)
    console.print(view.summary(result))
    console.print(cluster.kubectl("get", "llm", "--namespace", manifests.NAMESPACE), soft_wrap=True)
    return int(result.failed)


def main(argv: list[str]) -> int:
    """Run the demo."""
    options = parser().parse_args(argv)
    with cluster_of(options) as cluster:
        code = play(cluster, options)
        if options.keep:
            console.print(f"kept: export KUBECONFIG={cluster.kubeconfig}; then kubectl get llm -A")
            console.print("to end it: .venv/bin/python -m tests.cluster down")
        elif options.context:
            console.print("removing what the demo made")
            cluster.kubectl("delete", "namespace", manifests.NAMESPACE)
            cluster.helm("uninstall", "llmfleet", "--namespace", manifests.RELEASE_NAMESPACE)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
