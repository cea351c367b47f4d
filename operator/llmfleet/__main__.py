"""The command line: run the operator, or do without a cluster what it would do.

Exit codes: 0 done; 1 the input is refused, or the operator ended by itself; 2 wrong usage.

LAZY: what one subcommand alone needs is imported there. kopf and the client take most of a second, schemas and asyncio
a tenth, and `llmfleet plan` shall answer at once.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from llmfleet import __version__
from llmfleet.commands import inputs, plan, simulate
from llmfleet.commands.inputs import UsageError, deployments
from llmfleet.engine.checks import check
from llmfleet.engine.problem import Severity
from llmfleet.process.logs import LogFormat, configure
from llmfleet.process.settings import SettingsError, load

POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.do(arguments)
    except (SettingsError, UsageError) as error:
        print(f"llmfleet: {error}", file=sys.stderr)  # noqa: T201 - the command line speaks on its streams
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmfleet", description="Runs fleets of vLLM servers on Kubernetes from LLMDeployment objects."
    )
    parser.add_argument("--version", action="version", version=f"llmfleet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_activate(commands)
    _add_render(commands)
    plan.add(commands)
    simulate.add(commands)
    generate = commands.add_parser("crd", help="print the CustomResourceDefinition, ready for kubectl apply -f -")
    generate.set_defaults(do=_crd)
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser(
        "run",
        help="run the operator",
        description="Runs the operator with the credentials of its pod, or of $KUBECONFIG. Several may run: "
        "the one that holds the Lease works, the others wait.",
    )
    run.add_argument("--settings", type=Path, required=True, metavar="FILE", help="the administrator's settings, YAML")
    run.add_argument(
        "--namespace", action="append", default=[], metavar="NS", help="watch this namespace only; may be repeated"
    )
    run.add_argument(
        "--lease-namespace",
        default=_pod_namespace(),
        metavar="NS",
        help="where the Lease of the election lives (default: the pod's own namespace, else default)",
    )
    run.add_argument("--port", type=int, default=8080, help="of /livez, /readyz and /metrics (default: %(default)s)")
    _add_log_format(run)
    run.add_argument(
        "--activator",
        default="",
        metavar="NAME",
        help="of the activators' Service and ConfigMap, in the namespace of the Lease; without it the last replica of "
        "an object with spec.scaling.minReplicas 0 stays",
    )
    run.set_defaults(do=_run)


def _add_activate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    activate = commands.add_parser(
        "activate",
        help="run an activator",
        description="Holds requests for LLMDeployments at zero until a replica is ready, and streams them through. "
        "Any number may run; the operator has the objects woken.",
    )
    activate.add_argument("--settings", type=Path, required=True, metavar="FILE", help="the administrator's settings")
    activate.add_argument("--name", required=True, help="of the ConfigMap with the ports, which the operator writes")
    activate.add_argument(
        "--home-namespace", default=_pod_namespace(), metavar="NS", help="of that ConfigMap (default: the pod's own)"
    )
    activate.add_argument(
        "--namespace", action="append", default=[], metavar="NS", help="serve this namespace only; may be repeated"
    )
    activate.add_argument("--port", type=int, default=8080, help="of its own pages (default: %(default)s)")
    activate.add_argument("--host", help="address at which it listens for objects (default: all)")
    activate.add_argument(
        "--drain-seconds", type=float, default=120.0, help="for requests when it ends (default: %(default)s)"
    )
    _add_log_format(activate)
    activate.set_defaults(do=_activate)


def _add_log_format(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--log-format",
        type=LogFormat,
        choices=list(LogFormat),
        default=LogFormat.TEXT,
        help="default: %(default)s",
    )


def _add_render(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    render = commands.add_parser(
        "render",
        help="print the objects that the operator would create",
        description="Prints the children of LLMDeployments as YAML, without a cluster: for review and debugging. "
        "Warnings go to stderr; a spec that the operator would not apply ends with exit code 1.",
    )
    render.add_argument("-f", "--filename", type=Path, required=True, metavar="FILE", help="LLMDeployments, YAML")
    render.add_argument("--settings", type=Path, metavar="FILE", help=inputs.SETTINGS_HELP)
    render.set_defaults(do=_render)


def _run(arguments: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 - see LAZY

    from llmfleet.controller import app  # noqa: PLC0415 - see LAZY

    settings = load(arguments.settings).at_home(arguments.lease_namespace)
    configure(arguments.log_format)
    options = app.Options(
        namespaces=arguments.namespace,
        lease_namespace=arguments.lease_namespace,
        port=arguments.port,
        activator=arguments.activator,
    )
    return asyncio.run(app.run(settings, options))


def _activate(arguments: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 - see LAZY

    from llmfleet.activator import app  # noqa: PLC0415 - see LAZY

    settings = load(arguments.settings)
    configure(arguments.log_format)
    options = app.Options(
        namespaces=arguments.namespace,
        home_namespace=arguments.home_namespace,
        name=arguments.name,
        port=arguments.port,
        drain_seconds=arguments.drain_seconds,
        host=arguments.host,
    )
    return asyncio.run(app.run(settings.activator, options))


def _crd(_: argparse.Namespace) -> int:
    from llmfleet.api import crd  # noqa: PLC0415 - see LAZY

    sys.stdout.write(crd.to_yaml(crd.document()))
    return 0


def _render(arguments: argparse.Namespace) -> int:
    from llmfleet.manifests.children import children  # noqa: PLC0415 - see LAZY

    settings = inputs.settings(arguments.settings)
    manifests = []
    for deployment in deployments(arguments.filename):
        problems = check(deployment, settings)
        for problem in problems:
            line = f"llmfleet: {deployment.metadata.name}: {problem.severity}: {problem.message}"
            print(line, file=sys.stderr)  # noqa: T201 - the command line speaks on its streams
        if any(problem.severity is Severity.ERROR for problem in problems):
            return 1
        manifests.extend(children(deployment, settings))
    sys.stdout.write(yaml.safe_dump_all(manifests, sort_keys=False))
    return 0


def _pod_namespace() -> str:
    return POD_NAMESPACE.read_text(encoding="utf-8").strip() if POD_NAMESPACE.exists() else "default"


if __name__ == "__main__":
    sys.exit(main())
