"""Answers of an activator's own, in the shape of OpenAI's errors, which clients know how to read."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Refusal(StrEnum):
    """Why a request is not passed on; a label of the metrics."""

    UNKNOWN = "UnknownObject"
    PATH = "UnknownPath"
    KEY = "NoKey"
    MODEL = "UnknownModel"
    BODY = "BadBody"
    TOO_LARGE = "TooLarge"
    TOO_SLOW = "TooSlow"
    FULL = "TooManyHeld"
    MEMORY = "TooManyBytesHeld"
    TIMED_OUT = "NoReplicaInTime"
    CLOSED = "NetworkPolicy"
    SUSPENDED = "Suspended"
    REPLICA = "ReplicaFailed"
    ENDING = "ActivatorEnds"


STATUS = {
    Refusal.UNKNOWN: 503,
    Refusal.PATH: 404,
    Refusal.KEY: 401,
    Refusal.MODEL: 404,
    Refusal.BODY: 400,
    Refusal.TOO_LARGE: 413,
    Refusal.TOO_SLOW: 408,
    Refusal.FULL: 503,
    Refusal.MEMORY: 503,
    Refusal.TIMED_OUT: 503,
    Refusal.CLOSED: 503,
    Refusal.SUSPENDED: 503,
    Refusal.REPLICA: 503,
    Refusal.ENDING: 503,
}
TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 503: "service_unavailable"}
CODES = {Refusal.MODEL: "model_not_found", Refusal.KEY: "invalid_api_key"}
UNAVAILABLE = 503


class Refused(Exception):  # noqa: N818 - no fault of this program's
    """A request that is answered with an error."""

    def __init__(self, refusal: Refusal, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    body: bytes
    headers: dict[str, str]


def refusal(error: Refused) -> Answer:
    """The answer to a request that is refused; a client may come again where the status is 503."""
    status = STATUS[error.refusal]
    inner = {
        "message": str(error),
        "type": TYPES.get(status, "invalid_request_error"),
        "param": "model" if error.refusal is Refusal.MODEL else None,
        "code": CODES.get(error.refusal, status),
    }
    headers = {"Retry-After": str(error.retry_after)} if status == UNAVAILABLE else {}
    if error.refusal is Refusal.KEY:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(status, _json({"error": inner}), headers | {"Content-Type": "application/json"})


def models(names: tuple[str, ...]) -> Answer:
    """`GET /v1/models`, without what only an engine knows."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "llmfleet"} for name in names]
    return Answer(200, _json({"object": "list", "data": data}), {"Content-Type": "application/json"})


def healthy() -> Answer:
    """`GET /health`: requests are taken."""
    return Answer(200, b"", {})


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
