"""`llmfleet simulate`: the options. `simulation.py` does the work, and is loaded only then."""

import argparse
from pathlib import Path

EXAMPLES = """examples:
  llmfleet simulate -f llmdeployment.yaml --trace requests.csv
  llmfleet simulate -f llmdeployment.yaml --trace requests.csv --speed 4 --ttft 1 --itl 0.05 --output results
  llmfleet simulate -f llmdeployment.yaml --trace requests.csv --rules builtin,hpa-kv-70,static-peak
  llmfleet simulate -f llmdeployment.yaml --trace rates.csv --lengths lengths.csv --service chat --mean-rate 5 --days 1

A trace is CSV with the columns arrival_s,input_tokens,output_tokens, or Mooncake's JSON Lines; both may be gzipped.
Ends with 0 if the object, scaled as it says, keeps the objective; with 1 if it misses it or cannot be simulated.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "simulate",
        help="play a trace of requests to an LLMDeployment, without a cluster or GPU",
        description="Plays a trace of requests to simulated engines that are scaled as the object says: replicas over "
        "time, requests served in time, GPU-hours and cost, and which scaling block would do with less.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-f", "--filename", type=Path, required=True, metavar="FILE", help="one LLMDeployment, YAML")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="the administrator's settings, with GPU profiles")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write JSON, text and a picture (needs matplotlib)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default: %(default)s)")
    _add_trace(parser.add_argument_group("what comes"))
    _add_fleet(parser.add_argument_group("the fleet"))
    _add_goal(parser.add_argument_group("the objective"))
    parser.set_defaults(do=_run)


def _add_trace(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--trace", type=Path, required=True, metavar="FILE", help="requests, or rates (with --lengths)")
    group.add_argument("--lengths", type=Path, metavar="FILE", help="lengths of requests, for a trace of rates")
    group.add_argument("--service", default="", metavar="NAME", help="which service's columns of a trace of rates")
    group.add_argument("--mean-rate", type=float, metavar="R", help="requests a second of a trace of rates")
    group.add_argument("--speed", type=float, default=1.0, metavar="X", help="times the trace's own rate (default: 1)")
    group.add_argument("--start-day", type=float, default=0.0, metavar="D", help="leave out what comes before")
    group.add_argument("--days", type=float, metavar="D", help="so much of the trace (default: all)")


def _add_fleet(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--startup", type=float, default=120.0, metavar="S", help="seconds until a pod is Ready (default: 120 +- 20 %%)"
    )
    group.add_argument(
        "--step-time", metavar="A,B,C", help="ms of a step, a token, and a token of KV cache read (default: measured)"
    )
    group.add_argument(
        "--rules",
        default="builtin",
        metavar="NAMES",
        help="autoscalers, with commas: builtin (the operator's own), or others such as hpa-kv-70; 'list' names them",
    )


def _add_goal(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--ttft", type=float, metavar="S", help="seconds to the first token (default: the objective's)")
    group.add_argument("--itl", type=float, metavar="S", help="mean seconds between tokens (default: any)")
    group.add_argument("--share", type=float, default=0.99, metavar="F", help="of the requests (default: 0.99)")
    group.add_argument("--no-advice", action="store_true", help="do not try other scaling blocks")


def _run(arguments: argparse.Namespace) -> int:
    from llmfleet.commands import simulation  # noqa: PLC0415 - it loads the simulator, which `llmfleet plan` need not

    return simulation.run(arguments)
