"""Which errors of an HTTP server are worth a line of the log."""

import logging

from aiohttp.http_exceptions import HttpProcessingError


def is_worth_telling(record: logging.LogRecord) -> bool:
    """A request that is not HTTP is its sender's fault, and anybody in the cluster may send thousands."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
