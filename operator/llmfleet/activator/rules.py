"""Which requests are worth a replica, judged before anything is woken. Pure.

What an engine would refuse for certain is refused here: an unknown path, a body that is no JSON, a model of another
name, no key where one is asked for. Whether a key is the right one nobody here knows, since no Secret is read: a wrong
one wakes, and the engine refuses it.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from llmfleet.activator.answers import Answer, Refusal, Refused, healthy, models
from llmfleet.activator.targets import Target

ASKING = frozenset(
    f"{prefix}/{name}"
    for prefix, names in {
        "/v1": (
            "chat/completions",
            "completions",
            "embeddings",
            "responses",
            "messages",
            "messages/count_tokens",
            "audio/transcriptions",
            "audio/translations",
            "score",
            "rerank",
        ),
        "/v2": ("rerank", "embed"),
        "": ("score", "rerank", "pooling", "classify", "tokenize", "detokenize", "invocations", "generative_scoring"),
    }.items()
    for name in names
)
"""Paths of vLLM that take work, by POST."""
ALIVE = frozenset({"/health", "/ping"})
MODELS = "/v1/models"
JSON = "application/json"


class Head(NamedTuple):
    """Of a request."""

    method: str
    path: str
    headers: Mapping[str, str]


def at_once(head: Head, target: Target) -> Answer | None:
    """What is answered without a replica; None: the request needs one.

    Raises:
        Refused: no replica would take it.
    """
    if head.path in ALIVE and head.method in {"GET", "HEAD", "POST"}:
        return healthy()
    asks = head.method == "POST" and head.path in ASKING
    lists = head.method == "GET" and head.path == MODELS
    if not asks and not lists:
        words = f"{head.method} {head.path} is not answered while {target.name} is at zero."
        raise Refused(Refusal.PATH, words)
    if target.needs_key and not _has_key(head.headers.get("Authorization", "")):
        raise Refused(Refusal.KEY, "This model asks for a key: send it as `Authorization: Bearer KEY`.")
    if head.headers.get("Content-Encoding", "identity") != "identity":
        raise Refused(Refusal.BODY, "The body is compressed, which the engine does not take.")
    return models(target.models) if lists else None


def check_body(head: Head, body: bytes, target: Target) -> None:
    """Look for the model's name where the body is JSON; forms, such as those with sound, go to the engine as they are.

    Raises:
        Refused: no engine would take it.
    """
    kind = head.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()
    if kind != JSON:
        return
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(Refusal.BODY, f"The body is not valid JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Refused(Refusal.BODY, "The body must be a JSON object.")
    name = found.get("model")
    if name is None:
        return  # vLLM takes its first model then
    if not isinstance(name, str):
        raise Refused(Refusal.BODY, "The field model must be a string.")
    if name not in target.models:
        raise Refused(Refusal.MODEL, f"The model `{name[:200]}` does not exist. There is: {', '.join(target.models)}.")


def _has_key(authorization: str) -> bool:
    scheme, _, key = authorization.partition(" ")
    return scheme.lower() == "bearer" and bool(key.strip())
