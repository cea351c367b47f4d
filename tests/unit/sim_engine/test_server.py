"""The HTTP side of a running engine, as a client and a scraper see it."""

import json
from typing import Any

import pytest

from tests.unit.sim_engine.server import Server, running

HELLO = {"messages": [{"role": "user", "content": "hello there"}], "max_tokens": 7, "ignore_eos": True}


def test_a_chat_answer(engine: Server) -> None:
    status, body = engine.post("/v1/chat/completions", HELLO)
    choice = body["choices"][0]
    assert (status, body["object"], body["model"]) == (200, "chat.completion", "tiny")
    assert (choice["message"]["role"], len(choice["message"]["content"].split())) == ("assistant", 7)
    assert choice["finish_reason"] == "length"
    assert {name: body["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")} == {
        "prompt_tokens": 7,
        "completion_tokens": 7,
        "total_tokens": 14,
    }


def test_an_answer_that_ends_by_itself(engine: Server) -> None:
    body = {"prompt": "x", "max_tokens": 2000, "seed": 1}
    choice = engine.post("/v1/completions", body)[1]["choices"][0]
    assert (choice["finish_reason"], 0 < len(choice["text"].split()) < 200) == ("stop", True)


def events(server: Server, path: str, body: dict[str, Any]) -> list[str]:
    status, raw = server.request("POST", path, body | {"stream": True})
    assert status == 200
    *lines, end = raw.decode().split("\n\n")
    assert end == ""
    assert all(line.startswith("data: ") for line in lines)
    return [line[6:] for line in lines]


def test_a_chat_stream(engine: Server) -> None:
    *chunks, done = events(engine, "/v1/chat/completions", HELLO | {"stream_options": {"include_usage": True}})
    first, *middle, usage = [json.loads(chunk) for chunk in chunks]
    assert done == "[DONE]"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in middle).split()[:2] == ["the", "fleet"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in middle] == [None] * (len(middle) - 1) + ["length"]
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 7)
    assert {chunk["object"] for chunk in (first, *middle, usage)} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in (first, *middle, usage)}) == 1


def test_a_completion_stream_without_usage(engine: Server) -> None:
    body = {"prompt": [1, 2, 3], "max_tokens": 40, "ignore_eos": True}
    *chunks, done = events(engine, "/v1/completions", body)
    parsed = [json.loads(chunk) for chunk in chunks]
    assert done == "[DONE]"
    assert sum(len(chunk["choices"][0]["text"].split()) for chunk in parsed) == 40
    assert all("usage" not in chunk for chunk in parsed)


def test_usage_in_every_chunk(engine: Server) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    *chunks, _ = events(engine, "/v1/completions", {"prompt": [1], "max_tokens": 40, "stream_options": options})
    counts = [json.loads(chunk)["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts)
    assert counts[0] > 0


def test_models_and_version(engine: Server) -> None:
    status, body = engine.get("/v1/models")
    cards = [(card["id"], card["root"], card["max_model_len"]) for card in body["data"]]
    assert (status, cards) == (200, [("tiny", "org/model", 2048), ("small", "org/model", 2048)])
    assert engine.get("/version") == (200, {"version": "0.32.0"})
    assert engine.request("GET", "/health") == (200, b"")
    assert engine.request("POST", "/ping") == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/v1/chat/completions", {"model": "big", **HELLO}, 404, "NotFoundError"),
        ("POST", "/v1/chat/completions", b"{", 400, "Bad Request"),
        ("POST", "/v1/completions", {"prompt": [1] * 3000}, 400, "BadRequestError"),
        ("POST", "/sim/fault", {"fault": "boom"}, 400, "BadRequestError"),
    ],
)
def test_errors(*, engine: Server, method: str, path: str, body: Any, status: int, kind: str) -> None:
    got, raw = engine.request(method, path, body)
    error = json.loads(raw)["error"]
    assert (got, error["code"], error["type"]) == (status, status, kind)


def test_a_body_of_another_type(engine: Server) -> None:
    status, raw = engine.request("POST", "/v1/completions", b"{}", {"Content-Type": "text/plain"})
    assert (status, json.loads(raw)["error"]["type"]) == (400, "Bad Request")


def test_counters_move_by_what_was_served(engine: Server) -> None:
    names = {
        "vllm:prompt_tokens_total": 30,
        "vllm:generation_tokens_total": 12,
        'vllm:request_success_total{engine="0",finished_reason="length"': 1,
        "vllm:time_to_first_token_seconds_count": 1,
        "vllm:inter_token_latency_seconds_count": 11,
        "vllm:iteration_tokens_total_count": 12,
        "vllm:iteration_tokens_total_sum": 42,
        "vllm:prefix_cache_queries_total": 30,
        "vllm:e2e_request_latency_seconds_count": 1,
        'http_requests_total{handler="/v1/completions",method="POST",status="2xx"}': 1,
    }
    engine.post("/v1/completions", {"prompt": [1], "max_tokens": 1})
    before = {name: engine.value(name) for name in names}
    engine.post("/v1/completions", {"prompt": [1] * 30, "max_tokens": 12, "ignore_eos": True})
    assert {name: engine.value(name) - before[name] for name in names} == names
    assert engine.value("vllm:num_requests_running") == 0
    assert engine.value("vllm:kv_cache_usage_perc") == 0


def test_the_key_guards_v1_and_nothing_else() -> None:
    with running(env={"VLLM_API_KEY": "secret"}) as server:
        refused = (401, {"error": "Unauthorized"})
        assert server.post("/v1/chat/completions", HELLO) == refused
        assert server.post("/v1/chat/completions", HELLO, {"Authorization": "Bearer wrong"}) == refused
        assert server.post("/v1/chat/completions", HELLO, {"Authorization": "Bearer secret"})[0] == 200
        assert server.get("/v1/models") == refused
        assert [server.request("GET", path)[0] for path in ("/health", "/metrics", "/version")] == [200] * 3


def test_a_full_cache_shows_as_usage_queue_and_preemptions_and_a_client_that_leaves_frees_it() -> None:
    """40 blocks of 16 tokens: two prompts of 256 fill 32 of them, and 120 more tokens each do not fit."""
    flags = ("--num-gpu-blocks-override=41", "--max-model-len=512", "--max-num-queued-reqs=1")
    with running(*flags, env={"SIM_TIME_SCALE": "0.5"}) as server:
        streams = [server.stream(tokens=200, prompt=[1] * 256) for _ in range(2)]
        for stream in streams:
            stream.first()
        waiting = server.stream(tokens=1, prompt=[1] * 256)
        server.wait_state("waiting", 1)
        assert server.value("vllm:kv_cache_usage_perc") > 0.8
        assert server.value("vllm:num_requests_running") == 2
        assert server.post("/v1/completions", {"prompt": [1]})[0] == 503
        assert server.value('vllm:admission_rejections_total{model_name="org/model",reason="max_num_queued_reqs"') == 1
        assert streams[0].rest() == (200, True)
        assert waiting.rest() == (1, True)
        assert server.value("vllm:num_preemptions_total") == 1
        streams[1].close()
        server.wait_value("vllm:num_requests_running", 0)
        assert server.value('vllm:request_success_total{engine="0",finished_reason="abort"') == 1


def test_statistics_can_be_switched_off() -> None:
    with running("--disable-log-stats") as server:
        assert "vllm:" not in server.page()


def test_control_is_closed_unless_asked_for() -> None:
    with running(env={"SIM_CONTROL": ""}) as server:
        assert server.request("POST", "/sim/fault", {"fault": "hang"})[0] == 404
        assert server.request("GET", "/sim/state")[0] == 404
