"""Reading requests: how tokens are counted, how long answers become, and what is refused in which words."""

import json
from typing import Any

import pytest

from sim_engine import protocol
from sim_engine.protocol import Kind, Parsed, RequestError, Server

SERVER = Server(names=("tiny", "small"), max_model_len=100, mean_output_tokens=20, version="0.32.0")


def read(kind: Kind, **body: Any) -> Parsed:
    return protocol.read(json.dumps(body).encode(), kind, SERVER)


def message(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    ("kind", "body", "prompt_tokens", "max_tokens"),
    [
        ("completion", {"prompt": [5, 6, 7]}, 3, 16),
        ("completion", {"prompt": [[5, 6, 7]]}, 3, 16),
        ("completion", {"prompt": "12345678"}, 2, 16),
        ("completion", {"prompt": "123456789", "max_tokens": 5}, 3, 5),
        ("completion", {"prompt": ["1234"], "max_tokens": 99}, 1, 99),
        ("completion", {"prompt": [1] * 85}, 85, 15),
        ("completion", {"prompt": "x", "max_tokens": 100}, 1, 99),
        ("chat", {"messages": message("12345678")}, 6, 94),
        ("chat", {"messages": message([{"type": "text", "text": "1"}, {"type": "text", "text": "2"}])}, 6, 94),
        ("chat", {"messages": message("1") + message("2"), "max_tokens": 3}, 10, 3),
        ("chat", {"messages": message("1"), "max_tokens": 3, "max_completion_tokens": 4}, 5, 4),
        ("chat", {"messages": message(None)}, 4, 96),
    ],
)
def test_lengths(*, kind: Kind, body: dict[str, Any], prompt_tokens: int, max_tokens: int) -> None:
    parsed = read(kind, model="small", ignore_eos=True, **body)
    assert (parsed.prompt_tokens, parsed.max_tokens, parsed.output_tokens) == (prompt_tokens, max_tokens, max_tokens)
    assert parsed.model == "tiny"


@pytest.mark.parametrize(
    ("kind", "body", "status", "text"),
    [
        ("completion", {"prompt": "x", "model": "big"}, 404, "The model `big` does not exist."),
        ("completion", {}, 400, "Either prompt or prompt_embeds must be provided"),
        ("completion", {"prompt": ""}, 400, "Either prompt or prompt_embeds must be provided"),
        ("completion", {"prompt": ["a", "b"]}, 400, "takes one text"),
        ("completion", {"prompt": "x", "n": 2}, 400, "n must be 1"),
        ("completion", {"prompt": "x", "max_tokens": 0}, 400, "max_tokens must be at least 1, got 0."),
        ("completion", {"prompt": "x", "max_tokens": "5"}, 400, "valid integer"),
        ("completion", {"prompt": "x", "max_tokens": 101}, 400, "cannot be greater than max_model_len=100"),
        ("completion", {"prompt": [1] * 100}, 400, "max_tokens must be at least 1, got 0."),
        ("completion", {"prompt": "x", "min_tokens": 17}, 400, "min_tokens must be less than or equal"),
        ("completion", {"prompt": "x", "logprobs": 3}, 400, "does not do logprobs"),
        ("completion", {"prompt": "x", "temperature": -1}, 400, "temperature must be non-negative"),
        ("completion", {"prompt": "x", "stream_options": {"include_usage": True}}, 400, "only be defined when"),
        ("chat", {}, 400, "valid list"),
        ("chat", {"messages": []}, 400, "empty conversation"),
        ("chat", {"messages": ["hello"]}, 400, "object with a role"),
        ("chat", {"messages": message([{"type": "image_url"}])}, 400, "text parts"),
        ("chat", {"messages": message("x" * 400)}, 400, "maximum context length is 100 tokens"),
        ("chat", {"messages": message("x"), "tools": [{}]}, 400, "does not do tools"),
    ],
)
def test_what_is_refused(*, kind: Kind, body: dict[str, Any], status: int, text: str) -> None:
    with pytest.raises(RequestError) as refused:
        read(kind, **body)
    error = refused.value.body()["error"]
    assert (refused.value.status, error["code"]) == (status, status)
    assert text in error["message"]


@pytest.mark.parametrize("raw", [b"{", b"[]", b'"x"', b""])
def test_a_body_that_is_no_object(raw: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        protocol.read(raw, "chat", SERVER)
    assert refused.value.status == 400


def test_an_answer_ends_by_itself_and_the_same_way_for_the_same_seed() -> None:
    lengths = [read("completion", prompt="x", max_tokens=90, seed=seed).output_tokens for seed in range(200)]
    assert lengths == [read("completion", prompt="x", max_tokens=90, seed=seed).output_tokens for seed in range(200)]
    assert 14 < sum(lengths) / 200 < 26
    assert min(lengths) >= 1
    assert max(lengths) <= 90
    least = [
        read("completion", prompt="x", max_tokens=90, min_tokens=30, seed=seed).output_tokens for seed in range(50)
    ]
    assert min(least) == 30
