"""`python -m tests.cluster`: keep a cluster up by hand, build what clusters need, end what was left up."""

import argparse
import signal
import sys
import time
from contextlib import ExitStack

from tests.cluster import Cluster, ControlPlane, Kwok, Node, build, go_tools, images, packages
from tests.cluster.node import clean_leftovers, stop_kept


def main(argv: list[str]) -> int:
    """Run one command; see --help."""
    options = _parser().parse_args(argv)
    commands = {"control-plane": _control_plane, "node": _node, "build": _build, "down": _down}
    commands[options.command](options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    plane = commands.add_parser("control-plane", help="keep a control plane up until Ctrl-C")
    plane.add_argument("--nodes", type=int, default=0, help="so many pretended nodes of 8 GPUs")
    node = commands.add_parser("node", help="keep a whole node up until Ctrl-C")
    node.add_argument("--gpus", type=int, default=4, help="so many pretended GPUs (4)")
    node.add_argument(
        "--images",
        action="store_true",
        help="with the images that the stories run",
    )
    tools = commands.add_parser("build", help="build programs and images now")
    tools.add_argument("name", nargs="*", help="none: everything")
    commands.add_parser("down", help="end the nodes that were kept and remove what killed ones left")
    return parser


def _control_plane(options: argparse.Namespace) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        cluster = stack.enter_context(ControlPlane())
        if options.nodes:
            stack.enter_context(Kwok(cluster, nodes=options.nodes))
        _until_interrupted(cluster, began)


def _node(options: argparse.Namespace) -> None:
    archives = [images.archive(name) for name in images.STORIES] if options.images else []
    began = time.monotonic()
    with Node(gpus=options.gpus) as node:
        for archive in archives:
            node.load_image(archive)
        _until_interrupted(node, began)


def _until_interrupted(cluster: Cluster, began: float) -> None:
    """Say how to reach the cluster and wait for Ctrl-C or SIGTERM, so that it ends in order."""
    print(f"export KUBECONFIG={cluster.kubeconfig}  # up after {time.monotonic() - began:.1f} s", flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


def _build(options: argparse.Namespace) -> None:
    if unknown := set(options.name) - {tool.name for tool in go_tools.ALL}:
        raise SystemExit(
            f"there is no {', '.join(sorted(unknown))}; there are {', '.join(t.name for t in go_tools.ALL)}"
        )
    wanted = [tool for tool in go_tools.ALL if tool.name in options.name or not options.name]
    build.ensure(wanted)
    if not options.name:
        packages.ensure(packages.NODE)
        print(images.pause(), *(images.archive(name) for name in images.STORIES), sep="\n")


def _down(_: argparse.Namespace) -> None:
    ended = stop_kept() + clean_leftovers()
    print("\n".join(f"removed {folder}" for folder in ended) or "nothing was up")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
