"""`python -m tests.cluster`: keep a cluster up by hand."""

import argparse
import signal
import sys
import time

from tests.cluster import ControlPlane


def main(argv: list[str]) -> int:
    """Run one command; see --help."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("control-plane", help="keep a control plane up until Ctrl-C")
    parser.parse_args(argv)
    began = time.monotonic()
    with ControlPlane() as cluster:
        print(f"export KUBECONFIG={cluster.kubeconfig}  # ready after {time.monotonic() - began:.1f} s", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            signal.pause()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
