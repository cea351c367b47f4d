"""Runs inside the real vLLM's environment: what its own parser and configuration say of command lines.

stdin: {"argvs": [[MODEL, FLAG, ...], ...], "configure": FOLDER or null}. stdout, last line: {"version", "flags",
"parsed": one for each argv: {"error": text or "", "values": {destination: text}}}. With FOLDER, an argv that is parsed
is also made a configuration, as `vllm serve` does before it starts the engine, with the model in FOLDER.
"""

import argparse
import contextlib
import importlib
import io
import json
import sys
from typing import Any


def first(name: str, *modules: str) -> Any:
    """What has the name in the first of the modules that exists: they moved between releases."""
    for module in modules:
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(module), name)
    raise ImportError(f"{name} is in none of {modules}")


ARGUMENTS = ("vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.openai.cli_args")


def serve_parser() -> argparse.ArgumentParser:
    """The parser of `vllm serve`, made as the command makes it."""
    kind = first("FlexibleArgumentParser", "vllm.utils.argparse_utils", "vllm.utils")
    parser: argparse.ArgumentParser = first("make_arg_parser", *ARGUMENTS)(kind(prog="vllm serve"))
    return parser


def judge(parser: argparse.ArgumentParser, argv: list[str], model: str | None) -> dict[str, Any]:
    """What is said against one command line, and how it is read."""
    said = io.StringIO()
    values: dict[str, str] = {}
    try:
        with contextlib.redirect_stderr(said):
            args = parser.parse_args(argv)
        values = {name: repr(value) for name, value in vars(args).items()}
        first("validate_parsed_serve_args", *ARGUMENTS)(args)
        if model:
            configure(args, model)
    except SystemExit:
        return {"error": said.getvalue().strip().rpartition("\n")[2], "values": values}
    except Exception as error:  # noqa: BLE001 - whatever it is, it would end the server
        return {"error": f"{type(error).__name__}: {error}", "values": values}
    return {"error": "", "values": values}


def configure(args: argparse.Namespace, model: str) -> None:
    """The checks behind the parser: model, cache, scheduler, parallelism, platform."""
    args.model = args.model_tag = model
    engine = importlib.import_module("vllm.engine.arg_utils").AsyncEngineArgs.from_cli_args(args)
    engine.create_engine_config(importlib.import_module("vllm.usage.usage_lib").UsageContext.OPENAI_API_SERVER)


def main() -> None:
    """Read, judge, write."""
    asked = json.load(sys.stdin)
    parser = serve_parser()
    answer = {
        "version": importlib.import_module("vllm").__version__,
        "flags": sorted({flag for action in parser._actions for flag in action.option_strings}),
        "parsed": [judge(parser, argv, asked["configure"]) for argv in asked["argvs"]],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
