"""vLLM's logging, so set that the engine's last words are left where Kubernetes keeps them.

Kubernetes keeps the last 2 KiB of the log of a container that failed, and nothing of one that ended with code 0. vLLM's
cause stands earlier: in 0.32 the server's own traceback after it is 5 KiB long, and an engine that dies later ends with
code 0. The process that fails does log it, though, by three loggers that report hardly anything else at this level
(`v1/engine/core.py`, `v1/engine/async_llm.py`, `v1/executor/multiproc_executor.py`): what they report as an error goes
to the file of the termination message too. Errors of single requests are other loggers' business, but for requests that
the engine cannot even prepare.

VLLM_LOGGING_CONFIG_PATH replaces vLLM's own configuration and, through it, uvicorn's; so both stand here as well, with
the filter of the access log, for which `--disable-access-log-for-endpoints` alone no longer does (seen on 0.32.0).
"""

from collections.abc import Iterable
from typing import Any

from llmfleet.engine.flags import UNLOGGED, UNLOGGED_SINCE
from llmfleet.engine.version import Version

CONFIG_VARIABLE = "VLLM_LOGGING_CONFIG_PATH"
LEVEL_VARIABLE = "VLLM_LOGGING_LEVEL"
TERMINATION_LOG = "/dev/termination-log"
"""Kubernetes' default for terminationMessagePath; writable by everybody."""

FATAL_LOGGERS = ("vllm.v1.engine.core", "vllm.v1.engine.async_llm", "vllm.v1.executor.multiproc_executor")
OWN_VARIABLES = frozenset({CONFIG_VARIABLE, "VLLM_CONFIGURE_LOGGING"})
OWN_FLAGS = ("--log-config-file", "--logging-config", "--disable-access-log-for-endpoints", "--log-level")
"""Whoever sets one of them wants another logging, and gets it whole."""
NAMES_PROCESSES = Version(0, 31, 0)
"""From here on the name of the process is a part of the format; before, vLLM puts it before each line by itself."""


def is_free(*, arguments: Iterable[str], variables: Iterable[str]) -> bool:
    """Whether nobody asks for a logging of their own.

    Args:
        arguments: extra arguments of the engine.
        variables: names of the environment variables of the tenant and the administrator.
    """
    flags = {argument.partition("=")[0].partition(".")[0].replace("_", "-") for argument in arguments}
    return not OWN_VARIABLES & set(variables) and not any(flag in flags for flag in OWN_FLAGS)


def config(version: Version, *, level: str, file: str = TERMINATION_LOG) -> dict[str, Any]:
    """What the configuration file holds, for Python's `logging.config.dictConfig`.

    Args:
        version: of vLLM.
        level: from which on vLLM logs.
        file: where the last words go.
    """
    process = "(%(processName)s pid=%(process)d) " if version >= NAMES_PROCESSES else ""
    line = f"{process}%(levelname)s %(asctime)s [%(filename)s:%(lineno)d] %(message)s"
    vllm = {"class": "vllm.logging_utils.NewLineFormatter", "datefmt": "%m-%d %H:%M:%S", "format": line}
    access = '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s'
    quiet = {"level": "INFO", "propagate": False}
    filters = _filters(version)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "vllm": vllm,
            "words": {"format": "%(levelname)s %(message)s"},
            "default": {"()": "uvicorn.logging.DefaultFormatter", "fmt": "%(levelprefix)s %(message)s"},
            "access": {"()": "uvicorn.logging.AccessFormatter", "fmt": access},
        },
        "filters": filters,
        "handlers": {
            "vllm": _stream("vllm", "stdout"),
            "words": {
                "class": "logging.FileHandler",
                "filename": file,
                "delay": True,
                "level": "ERROR",
                "formatter": "words",
            },
            "default": _stream("default", "stderr"),
            "access": _stream("access", "stdout") | {"filters": list(filters)},
        },
        "loggers": {
            "vllm": {"handlers": ["vllm"], "level": level, "propagate": False},
            **{name: {"handlers": ["words"]} for name in FATAL_LOGGERS},
            "uvicorn": {"handlers": ["default"], **quiet},
            "uvicorn.error": {"level": "INFO"},
            "uvicorn.access": {"handlers": ["access"], **quiet},
        },
    }


def _filters(version: Version) -> dict[str, Any]:
    """What keeps probes and scrapes out of the access log, where the version has it."""
    if version < UNLOGGED_SINCE:
        return {}
    return {"unlogged": {"()": "vllm.logging_utils.UvicornAccessLogFilter", "excluded_paths": list(UNLOGGED)}}


def _stream(formatter: str, stream: str) -> dict[str, Any]:
    return {"class": "logging.StreamHandler", "formatter": formatter, "stream": f"ext://sys.{stream}"}
