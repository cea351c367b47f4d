"""The command line: the table is that of the real help, and takes and refuses what vLLM does."""

import json
import re
import runpy
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from sim_engine.flags import human_int, parse_serve
from sim_engine.versions import parse

ROOT = Path(__file__).parents[3]
LINES = (ROOT / "tests/unit/data/vllm-0.32.0-serve-flags.txt").read_text()
TABLE = json.loads((ROOT / "images/sim-engine/sim_engine/flags.json").read_text())
NEWEST = parse("0.32.0")
NUMBERS = {"--gpu-memory-utilization": "0.5", "--tokens-only": ""}


def test_the_table_is_fresh() -> None:
    """Cure: the command in the head of images/sim-engine/generate_flags.py."""
    generator = runpy.run_path(str(ROOT / "images/sim-engine/generate_flags.py"))
    assert generator["table"](LINES) == (ROOT / "images/sim-engine/sim_engine/flags.json").read_text()


def test_the_table_has_every_name_of_the_help() -> None:
    named = set(re.findall(r"(?:^|, )(--?[a-z][a-z0-9-]*)", LINES, flags=re.MULTILINE))
    taken = {name for row in TABLE for name in row["names"]}
    pairs = {name for row in TABLE if row["kind"] == "pair" for name in row["names"] if name.startswith("--")}
    assert named - {"-h", "--help"} == taken | {"--no-" + name[2:] for name in pairs}
    assert len(TABLE) > 300


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["names"][0])
def test_every_flag_is_taken(row: dict[str, object]) -> None:
    names, choices = row["names"], row.get("choices")
    assert isinstance(names, list)
    value = choices[0] if isinstance(choices, list) else NUMBERS.get(names[0], "7")
    values = [] if row["kind"] in {"switch", "pair"} else [value]
    for name in names:
        parse_serve(["org/model", name, *values], NEWEST)


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["m"], "model", "m"),
        ([], "model", "Qwen/Qwen3-0.6B"),
        (["--model", "other"], "model", "other"),
        (["m", "--tensor_parallel_size=4"], "tensor_parallel_size", 4),
        (["m", "-tp", "2"], "tensor_parallel_size", 2),
        (["m", "--max-model-len", "auto"], "max_model_len", -1),
        (["m", "--max-model-len=-1"], "max_model_len", -1),
        (["m", "--max-model-len=8k"], "max_model_len", 8000),
        (["m", "--max-model-len=8K"], "max_model_len", 8192),
        (["m", "--max-model-len=1.5k"], "max_model_len", 1500),
        (["m", "--kv-cache-memory=8G"], "kv_cache_memory_bytes", 8 << 30),
        (["m", "--served-model-name", "a", "b"], "served_model_name", ["a", "b"]),
        (["m", "--no-enable-prefix-caching"], "enable_prefix_caching", False),
        (["m", "--enable_prefix_caching"], "enable_prefix_caching", True),
        (["m", "-O2"], "optimization_level", "2"),
        (["m", "--device-memory-utilization=0.5"], "gpu_memory_utilization", 0.5),
        (["m", "--compilation-config.mode=3"], "compilation_config", ".--compilation-config.mode=3"),
    ],
)
def test_values(*, argv: list[str], name: str, value: object) -> None:
    assert getattr(parse_serve(argv, NEWEST), name) == value


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["m", "--swap-space=4"], "unrecognized arguments: --swap-space=4"),
        (["m", "--dtype=int8"], "invalid choice: 'int8'"),
        (["m", "--port=http"], "invalid int value"),
        (["m", "--max-model-len=8X"], "Invalid integer value"),
        (["m", "--tensor-parallel-size=0"], "must be at least 1"),
        (["m", "--gpu-memory-utilization=1.5"], "must be in (0, 1]"),
        (["m", "--gpu-memory-utilization=0"], "must be in (0, 1]"),
        (["m", "--max-num-seqs"], "expected one argument"),
        (["m", "extra"], "unrecognized arguments: extra"),
    ],
)
def test_what_is_refused_ends_with_code_2(*, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_serve(argv, NEWEST)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_an_old_version_does_not_know_newer_flags(capsys: pytest.CaptureFixture[str]) -> None:
    parse_serve(["m", "--shutdown-timeout=5"], parse("0.18.0"))
    with pytest.raises(SystemExit):
        parse_serve(["m", "--shutdown-timeout=5"], parse("0.17.1"))
    assert "--shutdown-timeout" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "1.5", "1.5K", "-3", "k"])
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        human_int(text)
