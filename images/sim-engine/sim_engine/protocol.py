"""Requests of the OpenAI API as vLLM reads them, and its errors, without a tokenizer.

`server.py` calls `read`; `answers.py` makes what goes back. Tokens are counted by rule: a list of token ids by its
length, text as one token for every four characters or part of them, a chat message as its text and four more.
"""

import json
import random
import time
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["chat", "completion"]

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
DEFAULT_COMPLETION_TOKENS = 16
WORDS = ("the", "fleet", "serves", "every", "request", "in", "turn", "and", "keeps", "its", "cache", "in", "order")

_ERROR_TYPES = {
    400: "BadRequestError",
    404: "NotFoundError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}
_UNSUPPORTED = (
    "tools", "response_format", "structured_outputs", "logprobs", "top_logprobs", "prompt_logprobs", "echo", "suffix",
    "logit_bias", "prompt_embeds", "use_beam_search",
)  # fmt: skip


class RequestError(Exception):
    """An answer with an error status and a body in vLLM's shape."""

    def __init__(self, status: int, message: str, param: str | None = None, *, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.kind = kind or _ERROR_TYPES.get(status, "InternalServerError")

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.status}}


def invalid(problem: str, place: str | None) -> RequestError:
    """A body that does not have the shape of a request; vLLM says so in other words than of a wrong value."""
    return RequestError(400, f"1 validation error:\n  {problem}", place, kind="Bad Request")


def _wrong(message: str, param: str, value: object = None) -> RequestError:
    """A wrong value, which vLLM names once more at the end."""
    again = f"parameter={param}" if value is None else f"parameter={param}, value={value}"
    return RequestError(400, f"{message} ({again})", param)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request the engine can run; `output_tokens` is the length its answer will have."""

    kind: Kind
    id: str
    model: str
    created: int
    prompt_tokens: int
    max_tokens: int
    output_tokens: int
    stream: bool
    include_usage: bool
    continuous_usage: bool
    version: str


@dataclass(frozen=True, slots=True)
class Server:
    """What reading a request needs to know about the server."""

    names: tuple[str, ...]
    max_model_len: int
    mean_output_tokens: int
    version: str


def read(raw: bytes, kind: Kind, server: Server) -> Parsed:
    """Check a request body.

    Raises:
        RequestError: 400 for what is malformed, too long or not done here, 404 for an unknown model.
    """
    body = _object(raw)
    model = body.get("model", server.names[0])
    if model not in server.names:
        aliases = ", ".join(server.names)
        raise RequestError(404, f"The model `{model}` does not exist. Valid aliases: {aliases}.", "model")
    _refuse_unsupported(body)
    prompt_tokens = _chat_tokens(body) if kind == "chat" else _prompt_tokens(body.get("prompt"))
    max_tokens = _max_tokens(body, kind, prompt_tokens, server.max_model_len)
    request_id = f"{random.getrandbits(128):032x}"
    options = body.get("stream_options") or {}
    return Parsed(
        kind=kind,
        id=("chatcmpl-" if kind == "chat" else "cmpl-") + request_id,
        model=server.names[0],
        created=int(time.time()),
        prompt_tokens=prompt_tokens,
        max_tokens=max_tokens,
        output_tokens=_output_tokens(body, max_tokens, request_id, server.mean_output_tokens),
        stream=body.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        continuous_usage=options.get("continuous_usage_stats") is True,
        version=server.version,
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError as error:
        place = f"body.{error.pos}" if isinstance(error, json.JSONDecodeError) else "body"
        raise invalid(f"JSON decode error: {error}", place) from None
    if not isinstance(body, dict):
        raise invalid("Input should be a valid dictionary or object to extract fields from", "body")
    return body


def _refuse_unsupported(body: dict[str, Any]) -> None:
    if body.get("n", 1) != 1 or body.get("best_of", 1) not in {1, None}:
        raise RequestError(400, "sim-engine makes one answer a request: n must be 1", "n")
    if used := [name for name in _UNSUPPORTED if body.get(name)]:
        raise RequestError(400, f"sim-engine does not do {', '.join(used)}", used[0])
    if body.get("stream_options") and body.get("stream") is not True:
        raise _wrong("Stream options can only be defined when `stream=True`.", "stream_options")
    temperature = body.get("temperature")
    if isinstance(temperature, int | float) and temperature < 0:
        raise _wrong(f"temperature must be non-negative, got {float(temperature)}.", "temperature", float(temperature))


def _text_tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _prompt_tokens(prompt: Any) -> int:
    if isinstance(prompt, str) and prompt:
        return _text_tokens(prompt)
    if isinstance(prompt, list) and prompt and all(type(token) is int and token >= 0 for token in prompt):
        return len(prompt)
    if isinstance(prompt, list) and len(prompt) == 1:
        return _prompt_tokens(prompt[0])
    if not prompt:
        raise _wrong("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")
    raise invalid("sim-engine takes one text or one list of token ids", "body.prompt")


def _chat_tokens(body: dict[str, Any]) -> int:
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise invalid("Input should be a valid list", "body.messages")
    if not messages:
        raise RequestError(400, "Cannot apply chat template to an empty conversation. Provide at least one message.")
    return sum(TOKENS_PER_MESSAGE + _message_tokens(message) for message in messages)


def _message_tokens(message: Any) -> int:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RequestError(400, "each message must be an object with a role", "messages")
    content = message.get("content")
    if isinstance(content, str) or content is None:
        return _text_tokens(content or "")
    texts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else [None]
    if not all(isinstance(said, str) for said in texts):
        raise RequestError(400, "the content of a message must be text or a list of text parts", "messages")
    return sum(_text_tokens(str(said)) for said in texts)


def _integer(body: dict[str, Any], name: str, smallest: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int:
        raise invalid(f"Input should be a valid integer, not {value!r}", f"body.{name}")
    if value < smallest:
        raise _wrong(f"{name} must be at least {smallest}, got {value}.", name, value)
    return value


def _max_tokens(body: dict[str, Any], kind: Kind, prompt_tokens: int, longest: int) -> int:
    asked = _integer(body, "max_completion_tokens", 1) if kind == "chat" else None
    asked = asked or _integer(body, "max_tokens", 1)
    if asked is None and kind == "completion":
        asked = DEFAULT_COMPLETION_TOKENS
    if asked is not None and asked > longest:
        raise _wrong(
            f"max_tokens={asked} cannot be greater than max_model_len={longest}. Please request fewer output tokens.",
            "max_tokens",
            asked,
        )
    if prompt_tokens > longest:
        raise _wrong(
            f"This model's maximum context length is {longest} tokens. However, your prompt contains {prompt_tokens} "
            "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the "
            "input prompt.",
            "input_tokens",
            prompt_tokens,
        )
    room = longest - prompt_tokens
    if not room:
        raise _wrong("max_tokens must be at least 1, got 0.", "max_tokens", 0)
    return room if asked is None else min(asked, room)


def _output_tokens(body: dict[str, Any], max_tokens: int, request_id: str, mean: int) -> int:
    """All that was asked for with ignore_eos; else an exponential length, the same one for the same `seed`."""
    least = _integer(body, "min_tokens", 0) or 1
    if least > max_tokens:
        raise RequestError(400, f"min_tokens must be less than or equal to max_tokens={max_tokens}, got {least}.")
    if body.get("ignore_eos") is True:
        return max_tokens
    seed = body.get("seed")
    drawn = random.Random(request_id if seed is None else str(seed)).expovariate(1 / mean)
    return min(max_tokens, max(least, round(drawn)))
