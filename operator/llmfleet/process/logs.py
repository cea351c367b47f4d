"""Log lines on stderr: text for people, JSON for collectors. Bodies of objects are never logged."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum

QUIET = {"kopf": logging.WARNING, "kubernetes.aio.leaderelection": logging.WARNING, "aiohttp": logging.WARNING}
"""Libraries that tell each of their steps."""


class LogFormat(StrEnum):
    """How lines look."""

    TEXT = "text"
    JSON = "json"


class _Json(logging.Formatter):
    """One JSON document a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def configure(style: LogFormat) -> None:
    """Set up the root logger."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_Json() if style is LogFormat.JSON else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
