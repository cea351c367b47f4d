"""Requests and answers of the OpenAI API as vLLM reads and writes them, without a tokenizer.

`server.py` calls `read` and the functions that make answers. Tokens are counted by rule: a list of token ids by its
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
    405: "MethodNotAllowedError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}
_UNSUPPORTED = (
    "tools", "response_format", "structured_outputs", "logprobs", "top_logprobs", "prompt_logprobs", "echo", "suffix",
    "logit_bias", "prompt_embeds", "use_beam_search",
)  # fmt: skip


class RequestError(Exception):
    """An answer with an error status and a body in vLLM's shape."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        kind = _ERROR_TYPES.get(self.status, "InternalServerError")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.status}}


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


@dataclass(frozen=True, slots=True)
class Server:
    """What reading a request needs to know about the server."""

    names: tuple[str, ...]
    max_model_len: int
    mean_output_tokens: int


def read(raw: bytes, kind: Kind, server: Server) -> Parsed:
    """Check a request body.

    Raises:
        RequestError: 400 for what is malformed, too long or not done here, 404 for an unknown model.
    """
    body = _object(raw)
    model = body.get("model", server.names[0])
    if model not in server.names:
        raise RequestError(404, f"The model `{model}` does not exist.", "model")
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
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise RequestError(400, f"JSON decode error: {error}") from None
    if not isinstance(body, dict):
        raise RequestError(400, "Input should be a valid dictionary")
    return body


def _refuse_unsupported(body: dict[str, Any]) -> None:
    if body.get("n", 1) != 1 or body.get("best_of", 1) not in {1, None}:
        raise RequestError(400, "sim-engine makes one answer a request: n must be 1", "n")
    if used := [name for name in _UNSUPPORTED if body.get(name)]:
        raise RequestError(400, f"sim-engine does not do {', '.join(used)}", used[0])
    if body.get("stream_options") and body.get("stream") is not True:
        raise RequestError(400, "Stream options can only be defined when `stream=True`.", "stream_options")
    temperature = body.get("temperature")
    if isinstance(temperature, int | float) and temperature < 0:
        raise RequestError(400, f"temperature must be non-negative, got {temperature}.", "temperature")


def _text_tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _prompt_tokens(prompt: Any) -> int:
    if isinstance(prompt, str) and prompt:
        return _text_tokens(prompt)
    if isinstance(prompt, list) and prompt and all(type(token) is int and token >= 0 for token in prompt):
        return len(prompt)
    if isinstance(prompt, list) and len(prompt) == 1:
        return _prompt_tokens(prompt[0])
    raise RequestError(400, "prompt must be one text or one list of token ids, and not empty", "prompt")


def _chat_tokens(body: dict[str, Any]) -> int:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError(400, "messages must be a list with at least one message", "messages")
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
        raise RequestError(400, f"{name} should be a valid integer, got {value!r}.", name)
    if value < smallest:
        raise RequestError(400, f"{name} must be at least {smallest}, got {value}.", name)
    return value


def _max_tokens(body: dict[str, Any], kind: Kind, prompt_tokens: int, longest: int) -> int:
    asked = _integer(body, "max_completion_tokens", 1) if kind == "chat" else None
    asked = asked or _integer(body, "max_tokens", 1)
    if asked is None:
        asked = max(1, longest - prompt_tokens) if kind == "chat" else DEFAULT_COMPLETION_TOKENS
    if prompt_tokens + asked > longest:
        raise RequestError(
            400,
            f"This model's maximum context length is {longest} tokens. However, you requested {asked} output tokens "
            f"and your prompt contains at least {prompt_tokens} input tokens, for a total of at least "
            f"{prompt_tokens + asked} tokens. Please reduce the length of the input prompt or the number of requested "
            f"output tokens. (parameter=input_tokens, value={prompt_tokens})",
            "input_tokens",
        )
    return asked


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


def text(start: int, end: int) -> str:
    """The words of tokens `start` to `end` of an answer."""
    return "".join(" " + WORDS[number % len(WORDS)] for number in range(start, end))


def usage(parsed: Parsed, generated: int) -> dict[str, Any]:
    """The usage block."""
    return {
        "prompt_tokens": parsed.prompt_tokens,
        "total_tokens": parsed.prompt_tokens + generated,
        "completion_tokens": generated,
        "prompt_tokens_details": None,
    }


def answer(parsed: Parsed, generated: int, finish_reason: str) -> dict[str, Any]:
    """A whole answer."""
    said = text(0, generated)
    choice: dict[str, Any] = {"index": 0}
    if parsed.kind == "chat":
        choice["message"] = {"role": "assistant", "content": said, "refusal": None, "tool_calls": []}
    else:
        choice["text"] = said
    choice |= {"logprobs": None, "finish_reason": finish_reason, "stop_reason": None}
    return _envelope(parsed, chunk=False) | {"choices": [choice], "usage": usage(parsed, generated)}


def opening(parsed: Parsed) -> dict[str, Any] | None:
    """The first chunk of a stream: in a chat, who speaks."""
    if parsed.kind == "completion":
        return None
    return _chunk(parsed, {"delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}, 0)


def chunk(parsed: Parsed, start: int, end: int, finish_reason: str | None) -> dict[str, Any]:
    """A chunk of a stream with tokens `start` to `end`."""
    said = text(start, end)
    choice: dict[str, Any] = {"delta": {"content": said}} if parsed.kind == "chat" else {"text": said}
    choice |= {"logprobs": None, "finish_reason": finish_reason}
    if finish_reason or parsed.kind == "completion":
        choice["stop_reason"] = None
    return _chunk(parsed, choice, end)


def closing_usage(parsed: Parsed, generated: int) -> dict[str, Any]:
    """The last chunk of a stream that asked for usage."""
    return _envelope(parsed, chunk=True) | {"choices": [], "usage": usage(parsed, generated)}


def _chunk(parsed: Parsed, choice: dict[str, Any], generated: int) -> dict[str, Any]:
    made = _envelope(parsed, chunk=True) | {"choices": [{"index": 0} | choice]}
    return made | {"usage": usage(parsed, generated)} if parsed.continuous_usage else made


def _envelope(parsed: Parsed, *, chunk: bool) -> dict[str, Any]:
    kind = "text_completion"
    if parsed.kind == "chat":
        kind = "chat.completion.chunk" if chunk else "chat.completion"
    return {"id": parsed.id, "object": kind, "created": parsed.created, "model": parsed.model}
