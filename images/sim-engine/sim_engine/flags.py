"""The command line of `vllm serve`: every flag of the real one, by name and number of values.

`main.py` calls `parse`; `settings.py` turns what comes out into an engine. The table of flags (flags.json) is made by
generate_flags.py from the help of vLLM 0.32.0. An unknown flag ends the process with code 2, as it does there.
"""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from sim_engine.versions import Version, parse

DEFAULT_MODEL = "Qwen/Qwen3-0.6B"
USAGE = "vllm serve [model_tag] [options]"

# Flags younger than the oldest version this server can play, among those an operator is likely to set.
SINCE = {
    "--shutdown-timeout": "0.18.0",
    "--enable-log-requests": "0.10.2",
    "--max-num-queued-reqs": "0.29.0",
    "--max-num-queued-tokens": "0.29.0",
    "--max-num-active-seqs": "0.31.0",
    "--scheduler-reserve-full-isl": "0.19.0",
    "--kv-offloading-size": "0.11.1",
    "--disable-access-log-for-endpoints": "0.16.0",
}

# Flags whose behaviour this server does not have and whose absence a client would notice.
REFUSED = (
    "config", "grpc", "grpc_port", "headless", "uds", "root_path", "middleware", "ssl_keyfile", "ssl_certfile",
    "ssl_ca_certs", "lora_modules", "tokens_only", "sse_keep_alive_interval", "kv_transfer_config",
)  # fmt: skip

_SUFFIX = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}


def human_int(text: str) -> int:
    """An integer with vLLM's suffixes: k, m, g (powers of ten, decimals allowed) and K, M, G (powers of two)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgKMG]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"Invalid integer value: {text!r}")
    number, suffix = match.groups()
    if "." in number and suffix not in {"k", "m", "g"}:
        raise argparse.ArgumentTypeError(f"Decimals are not allowed with {suffix or 'no'} suffix: {text!r}")
    return int(float(number) * _SUFFIX.get(suffix, 1)) if "." in number else int(number) * _SUFFIX.get(suffix, 1)


def model_length(text: str) -> int:
    """`--max-model-len`: a length, or -1 for `auto`."""
    return -1 if text in {"auto", "-1"} else human_int(text)


TYPES: dict[str, Callable[[str], Any]] = {
    "--port": int, "--seed": int, "--tensor-parallel-size": int, "--pipeline-parallel-size": int, "--block-size": int,
    "--data-parallel-size": int, "--max-num-seqs": int, "--max-num-active-seqs": int, "--max-num-queued-reqs": int,
    "--max-num-queued-tokens": int, "--stream-interval": int, "--shutdown-timeout": int, "--max-log-len": int,
    "--num-gpu-blocks-override": int, "--gpu-memory-utilization": float, "--cpu-offload-gb": float,
    "--max-num-batched-tokens": human_int, "--kv-cache-memory-bytes": human_int, "--max-model-len": model_length,
}  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """The usage of a parser with 300 flags is not worth printing."""

    def format_usage(self) -> str:
        return f"usage: {USAGE}\n"


def parser(version: Version) -> argparse.ArgumentParser:
    """A parser that knows the flags of one version."""
    made = _Parser(prog="vllm serve", usage=USAGE)
    made.add_argument("model_tag", nargs="?")
    for row in json.loads(resources.files("sim_engine").joinpath("flags.json").read_text()):
        name = row["names"][0]
        if name not in SINCE or version >= parse(SINCE[name]):
            made.add_argument(*row["names"], **_options(name, row))
    return made


def _options(name: str, row: dict[str, Any]) -> dict[str, Any]:
    if row["kind"] == "switch":
        return {"action": "store_true"}
    if row["kind"] == "pair":
        return {"action": argparse.BooleanOptionalAction, "default": None}
    options: dict[str, Any] = {"choices": row.get("choices")}
    if row["kind"] == "list":
        options["nargs"] = "+"
    elif row["kind"] == "optional":
        options["nargs"] = "?"
    if name in TYPES:
        options["type"] = TYPES[name]
    return options


def normal(argv: Sequence[str]) -> list[str]:
    """Argv with `_` in flag names made `-`, `-O2` spelt out, and `--flag.key=value` reduced to its flag."""
    done = []
    for item in argv:
        if re.fullmatch(r"-O[0-3]", item):
            done.append(f"--optimization-level={item[2]}")
            continue
        if item.startswith("--"):
            name, equals, value = item.partition("=")
            plain, dot, _ = name.partition(".")
            done.append(plain.replace("_", "-") + (equals + value if not dot else f"=.{name}{equals}{value}"))
            continue
        done.append(item)
    return done


def parse_serve(argv: Sequence[str], version: Version) -> argparse.Namespace:
    """The flags of `vllm serve`.

    Raises:
        SystemExit: with code 2 and a message on stderr for what argparse does not take, 0 after --help.
    """
    made = parser(version)
    args = made.parse_args(normal(argv))
    args.model = args.model_tag or args.model or DEFAULT_MODEL
    _check_bounds(made, args)
    return args


def _check_bounds(made: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Values argparse lets through and vLLM's own configuration classes do not."""
    for name in (
        "tensor_parallel_size",
        "pipeline_parallel_size",
        "max_num_seqs",
        "max_num_batched_tokens",
        "block_size",
    ):
        value = getattr(args, name)
        if value is not None and value < 1:
            made.error(f"argument --{name.replace('_', '-')}: must be at least 1, got {value}")
    if args.gpu_memory_utilization is not None and not 0 < args.gpu_memory_utilization <= 1:
        made.error(f"argument --gpu-memory-utilization: must be in (0, 1], got {args.gpu_memory_utilization}")
