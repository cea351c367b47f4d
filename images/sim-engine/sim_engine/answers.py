"""Answers of the OpenAI API in vLLM's shape, whole or in chunks; what this engine has no notion of stands at null.

`server.py` sends what is made here; `protocol.py` has read the request. `tests/engine/test_contract.py` holds the names
against a real server.
"""

import random
import time
from typing import Any

from sim_engine.protocol import WORDS, Parsed

_FINGERPRINT = f"{random.getrandbits(32):08x}"
"""Of this process: vLLM's is of its configuration."""


def model_card(name: str, root: str, max_model_len: int) -> dict[str, Any]:
    """What /v1/models says of one served name."""
    now = int(time.time())
    permission = {
        "id": f"modelperm-{random.getrandbits(64):016x}", "object": "model_permission", "created": now,
        "allow_create_engine": False, "allow_sampling": True, "allow_logprobs": True, "allow_search_indices": False,
        "allow_view": True, "allow_fine_tuning": False, "organization": "*", "group": None, "is_blocking": False,
    }  # fmt: skip
    return {
        "id": name, "object": "model", "created": now, "owned_by": "vllm", "root": root, "parent": None,
        "max_model_len": max_model_len, "permission": [permission],
    }  # fmt: skip


def text(start: int, end: int) -> str:
    """The words of tokens `start` to `end` of an answer."""
    return "".join(" " + WORDS[number % len(WORDS)] for number in range(start, end))


def usage(parsed: Parsed, generated: int) -> dict[str, Any]:
    """The usage block."""
    return {
        "prompt_tokens": parsed.prompt_tokens,
        "total_tokens": parsed.prompt_tokens + generated,
        "completion_tokens": generated,
    }


def answer(parsed: Parsed, generated: int, finish_reason: str) -> dict[str, Any]:
    """A whole answer."""
    said = text(0, generated)
    details: dict[str, Any] = dict.fromkeys(("prompt_tokens_details", "completion_tokens_details"))
    after: dict[str, Any] = {"service_tier": None, "system_fingerprint": _fingerprint(parsed)}
    after |= {"usage": usage(parsed, generated) | details}
    choice: dict[str, Any] = {"index": 0}
    ended: dict[str, Any] = {"logprobs": None, "finish_reason": finish_reason, "stop_reason": None, "token_ids": None}
    if parsed.kind == "chat":
        silent = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "reasoning"))
        choice |= {"message": {"role": "assistant", "content": said, **silent}} | ended
        after |= dict.fromkeys(("prompt_logprobs", "prompt_token_ids", "prompt_text"))
    else:
        choice |= {"text": said} | ended | dict.fromkeys(("prompt_logprobs", "prompt_token_ids"))
    choice["routed_experts"] = None
    after |= dict.fromkeys(("kv_transfer_params", "ec_transfer_params", "metrics"))
    return _envelope(parsed, chunk=False) | {"choices": [choice]} | after


def opening(parsed: Parsed) -> dict[str, Any] | None:
    """The first chunk of a stream: in a chat, who speaks."""
    if parsed.kind == "completion":
        return None
    choice = {"delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
    return _chunk(parsed, choice, 0) | {"prompt_token_ids": None, "prompt_text": None}


def chunk(parsed: Parsed, start: int, end: int, finish_reason: str | None) -> dict[str, Any]:
    """A chunk of a stream with tokens `start` to `end`."""
    said = text(start, end)
    choice: dict[str, Any] = {"delta": {"content": said}} if parsed.kind == "chat" else {"text": said}
    choice |= {"logprobs": None, "finish_reason": finish_reason}
    if finish_reason or parsed.kind == "completion":
        choice["stop_reason"] = None
    if parsed.kind == "completion":
        choice["prompt_token_ids"] = None
    made = _chunk(parsed, choice | {"token_ids": None}, end)
    last = finish_reason and not parsed.include_usage
    return made | {"system_fingerprint": _fingerprint(parsed)} if last else made


def closing_usage(parsed: Parsed, generated: int) -> dict[str, Any]:
    """The last chunk of a stream that asked for usage."""
    end = {"choices": [], "usage": usage(parsed, generated), "system_fingerprint": _fingerprint(parsed)}
    return _envelope(parsed, chunk=True) | end


def _chunk(parsed: Parsed, choice: dict[str, Any], generated: int) -> dict[str, Any]:
    made = _envelope(parsed, chunk=True) | {"choices": [{"index": 0} | choice]}
    if not parsed.continuous_usage:
        return made
    details = {"completion_tokens_details": None} if parsed.kind == "chat" else {}
    return made | {"usage": usage(parsed, generated) | details}


def _fingerprint(parsed: Parsed) -> str:
    return f"vllm-{parsed.version}-{_FINGERPRINT}"


def _envelope(parsed: Parsed, *, chunk: bool) -> dict[str, Any]:
    kind = "text_completion"
    if parsed.kind == "chat":
        kind = "chat.completion.chunk" if chunk else "chat.completion"
    return {"id": parsed.id, "object": kind, "created": parsed.created, "model": parsed.model}
