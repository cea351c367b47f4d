"""Where vLLM's log goes, and what is left behind of a fatal error; tried with Python's own logging.

vLLM's and uvicorn's formatters are stood in for, since neither is installed here; what the real ones make of it is
tried with the real engine.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmfleet.engine.logs import CONFIG_VARIABLE, config, is_free
from llmfleet.engine.version import Version

NEW = Version(0, 32, 0)
PROGRAM = """
import json, logging.config, sys
config = json.load(open(sys.argv[1]))
logging.config.dictConfig(config)
logging.getLogger("vllm.entrypoints.serving").error("a request failed")
logging.getLogger("vllm.v1.engine.core").info("loading")
try:
    raise ValueError("max seq len")
except ValueError:
    logging.getLogger("vllm.v1.engine.core").exception("EngineCore failed to start.")
"""


def run(folder: Path, version: Version = NEW, level: str = "INFO") -> tuple[str, str]:
    """What goes to stdout, and what to the file of the last words."""
    words = folder / "words"
    found = config(version, level=level, file=str(words))
    found["filters"] = found["handlers"]["access"]["filters"] = {}
    for formatter in found["formatters"].values():
        formatter.pop("class", None)
        formatter.pop("()", None)
        formatter.pop("fmt", None)
    (folder / "config.json").write_text(json.dumps(found))
    argv = [sys.executable, "-c", PROGRAM, str(folder / "config.json")]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, words.read_text() if words.exists() else ""


def test_a_fatal_error_is_left_behind_and_stands_in_the_log_too(tmp_path: Path) -> None:
    log, words = run(tmp_path)
    assert words.startswith("ERROR EngineCore failed to start.\nTraceback")
    assert words.endswith("ValueError: max seq len\n")
    assert "EngineCore failed to start." in log
    assert "loading" in log


def test_what_a_request_can_cause_is_not_left_behind(tmp_path: Path) -> None:
    """Or a client could fill the node's disk."""
    log, words = run(tmp_path)
    assert "a request failed" in log
    assert "a request failed" not in words


def test_the_level_is_the_tenants(tmp_path: Path) -> None:
    assert "loading" not in run(tmp_path, level="ERROR")[0]


@pytest.mark.parametrize(("version", "count"), [(Version(0, 30, 0), 0), (Version(0, 31, 0), 3)])
def test_processes_are_named_once(tmp_path: Path, version: Version, count: int) -> None:
    """An older vLLM names them by itself."""
    log, _ = run(tmp_path, version)
    assert log.count("(MainProcess pid=") == count


@pytest.mark.parametrize(("version", "paths"), [(Version(0, 15, 1), []), (Version(0, 16), [["/health", "/metrics"]])])
def test_probes_and_scrapes_stay_out_of_the_access_log(version: Version, paths: list[list[str]]) -> None:
    """With vLLM's own filter, since it has one: its flag does nothing beside a configuration."""
    found = config(version, level="INFO")
    filters = found["handlers"]["access"]["filters"]
    assert [found["filters"][name]["excluded_paths"] for name in filters] == paths


def test_the_real_formatters_are_asked_for() -> None:
    found = config(Version(0, 32, 0), level="INFO")
    assert found["formatters"]["vllm"]["class"] == "vllm.logging_utils.NewLineFormatter"
    assert found["loggers"]["uvicorn.access"]["handlers"] == ["access"]
    assert found["disable_existing_loggers"] is False


@pytest.mark.parametrize(
    ("arguments", "variables", "free"),
    [
        ((), (), True),
        (("--seed", "7"), ("VLLM_LOGGING_LEVEL",), True),
        (("--disable-access-log-for-endpoints=/health",), (), False),
        (("--disable_access_log_for_endpoints", "/health"), (), False),
        (("--logging-config.formatter=json",), (), False),
        ((), (CONFIG_VARIABLE,), False),
        ((), ("VLLM_CONFIGURE_LOGGING",), False),
    ],
)
def test_whoever_wants_another_logging_gets_it(
    arguments: tuple[str, ...],
    variables: tuple[str, ...],
    free: bool,  # noqa: FBT001 - a parameter
) -> None:
    assert is_free(arguments=arguments, variables=variables) is free
