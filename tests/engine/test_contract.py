"""One contract for two servers: what is asserted here holds for the real vLLM and for sim-engine, started alike.

So a difference between the two is a failure here, and the simulated engine of all other tests cannot drift. What the
simulated one leaves out on purpose stands in its README and is not asked for.
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from llmfleet.manifests.drain import EXIT_SECONDS
from tests.engine import environment, pod
from tests.engine.client import Answer, wait_for
from tests.engine.pages import CAPTURED, LABELS, label_values, shapes
from tests.engine.process import KEY, REAL, SIMULATED, Engine, engine

CONTEXT = 2048
ANSWER = 2000
"""Tokens of the longest answers."""
CHAT = {"messages": [{"role": "user", "content": "hello there"}], "max_tokens": 7, "ignore_eos": True}
TEXT = {"prompt": [1] * 30, "max_tokens": 12, "ignore_eos": True}
USAGE = {"prompt_tokens", "total_tokens", "completion_tokens"}
NO_KEY = {"Authorization": ""}


def wanted() -> dict[str, Any]:
    """Blocks of the CPU's size on both, an API key, and time to drain."""
    extra = [*pod.QUICK, "--block-size=128"]
    secret = {"apiKeySecretRef": {"name": "key", "key": "api-key"}}
    drain = {"timeoutSeconds": 600}  # answers end long before on any machine
    return pod.spec(engine={"maxModelLen": CONTEXT, "extraArgs": extra}, access=secret, drain=drain)


@pytest.fixture(scope="module", params=[SIMULATED, REAL])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with engine(request.param, wanted(), tmp_path_factory.mktemp(request.param)) as started:
        yield started


def events(server: Engine, path: str, body: dict[str, Any]) -> list[str]:
    """The data of the events of a stream."""
    answer = server.ask("POST", path, body | {"stream": True})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    *lines, end = answer.body.decode().split("\n\n")
    assert end == ""
    assert all(line.startswith("data: ") for line in lines)
    return [line[6:] for line in lines]


def chunks(server: Engine, path: str, body: dict[str, Any], **options: bool) -> list[dict[str, Any]]:
    """The chunks of a stream that came to its orderly end."""
    *parts, done = events(server, path, body | ({"stream_options": options} if options else {}))
    assert done == "[DONE]"
    return [json.loads(part) for part in parts]


def test_the_metrics_page_has_every_family_with_its_type_help_and_labels(server: Engine) -> None:
    """After /v1/models and a chat answer, as when the page was captured; so this test is the first."""
    assert server.get("/v1/models")[0] == 200
    assert server.post("/v1/chat/completions", CHAT)[0] == 200
    answer = server.ask("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"
    ours, captured = shapes(answer.body.decode()), shapes(CAPTURED)
    assert set(ours) == set(captured)
    assert {family: samples for family, samples in ours.items() if samples != captured[family]} == {}


@pytest.mark.parametrize("label", LABELS)
def test_the_values_of_labels_are_the_captured_ones(server: Engine, label: str) -> None:
    assert label_values(server.page(), label) == label_values(CAPTURED, label)


def test_the_startup_probe_succeeds_after_an_answer(server: Engine) -> None:
    """The probe's own command, with the key from the environment."""
    before = server.value("vllm:generation_tokens_total")
    assert server.probe() == (True, "")
    assert server.value("vllm:generation_tokens_total") == before + 1


def test_health_ping_and_version(server: Engine) -> None:
    assert server.request("GET", "/health") == (200, b"")
    assert server.request("GET", "/ping") == (200, b"")
    assert server.request("POST", "/ping") == (200, b"")
    assert server.get("/version") == (200, {"version": environment.VERSION})
    assert server.request("HEAD", "/health")[0] == 405


def test_headers(server: Engine) -> None:
    """Names and values, apart from the date and what belongs to the connection."""
    volatile = {"date", "content-length"}
    common = {"server": "uvicorn", "vary": "Origin"}

    def headers(answer: Answer) -> dict[str, str]:
        return {name: value for name, value in answer.headers.items() if name not in volatile}

    assert headers(server.ask("GET", "/health")) == common
    assert headers(server.ask("GET", "/v1/models")) == common | {"content-type": "application/json"}
    streamed = server.ask("POST", "/v1/completions", TEXT | {"stream": True})
    framing = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
    assert headers(streamed) == common | framing


def test_the_model_card(server: Engine) -> None:
    status, body = server.get("/v1/models")
    (card,) = body["data"]
    (permission,) = card.pop("permission")
    assert (status, body["object"]) == (200, "list")
    assert isinstance(card.pop("created"), int)
    root = str(server.model)
    fixed = {"object": "model", "owned_by": "vllm", "root": root, "parent": None, "max_model_len": CONTEXT}
    assert card == fixed | {"id": pod.NAME}
    assert permission["id"].startswith("modelperm-")
    assert set(permission) == {
        "id", "object", "created", "allow_create_engine", "allow_sampling", "allow_logprobs", "allow_search_indices",
        "allow_view", "allow_fine_tuning", "organization", "group", "is_blocking",
    }  # fmt: skip


def test_a_chat_answer(server: Engine) -> None:
    status, body = server.post("/v1/chat/completions", CHAT)
    (choice,) = body["choices"]
    assert (status, body["object"], body["model"]) == (200, "chat.completion", pod.NAME)
    assert body["id"].startswith("chatcmpl-")
    assert body["system_fingerprint"].startswith(f"vllm-{environment.VERSION}-")
    assert set(body) == {
        "id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage",
        "prompt_logprobs", "prompt_token_ids", "prompt_text", "kv_transfer_params", "ec_transfer_params", "metrics",
    }  # fmt: skip
    assert set(choice) == {
        "index", "message", "logprobs", "finish_reason", "stop_reason", "token_ids", "routed_experts",
    }  # fmt: skip
    message = choice["message"]
    assert set(message) == {"role", "content", "refusal", "annotations", "audio", "function_call", "reasoning"}
    assert (message["role"], bool(message["content"]), choice["finish_reason"]) == ("assistant", True, "length")
    assert set(body["usage"]) == USAGE | {"prompt_tokens_details", "completion_tokens_details"}
    assert body["usage"]["completion_tokens"] == 7
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + 7


def test_a_completion(server: Engine) -> None:
    status, body = server.post("/v1/completions", TEXT)
    (choice,) = body["choices"]
    assert (status, body["object"], body["model"]) == (200, "text_completion", pod.NAME)
    assert body["id"].startswith("cmpl-")
    assert set(body) == {
        "id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage",
        "kv_transfer_params", "ec_transfer_params", "metrics",
    }  # fmt: skip
    assert set(choice) == {
        "index", "text", "logprobs", "finish_reason", "stop_reason", "token_ids", "prompt_logprobs",
        "prompt_token_ids", "routed_experts",
    }  # fmt: skip
    assert (bool(choice["text"]), choice["finish_reason"]) == (True, "length")
    assert {name: body["usage"][name] for name in USAGE} == {
        "prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42,
    }  # fmt: skip


@pytest.mark.parametrize(("asked", "made"), [({}, 16), ({"max_tokens": None}, 16), ({"prompt": [1] * 2040}, 8)])
def test_how_long_a_completion_becomes_without_a_length(server: Engine, asked: dict[str, Any], made: int) -> None:
    """16 tokens by default, and never more than fit behind the prompt."""
    body = {"prompt": [1, 2], "ignore_eos": True} | asked
    assert server.post("/v1/completions", body)[1]["usage"]["completion_tokens"] == made


def test_a_length_that_does_not_fit_behind_the_prompt_is_cut(server: Engine) -> None:
    body = {"prompt": [1] * 2000, "max_tokens": 100, "ignore_eos": True}
    status, answer = server.post("/v1/completions", body)
    assert (status, answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]) == (200, 48, "length")


def test_a_chat_stream(server: Engine) -> None:
    first, *middle = chunks(server, "/v1/chat/completions", CHAT)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert set(first["choices"][0]) == {"index", "delta", "logprobs", "finish_reason"}
    envelope = {"id", "object", "created", "model", "choices"}
    assert set(first) == envelope | {"prompt_token_ids", "prompt_text"}
    *middle, last = middle
    for chunk in middle:
        assert set(chunk) == envelope
        assert set(chunk["choices"][0]) == {"index", "delta", "logprobs", "finish_reason", "token_ids"}
        assert set(chunk["choices"][0]["delta"]) == {"content"}
        assert chunk["choices"][0]["finish_reason"] is None
    assert set(last) == envelope | {"system_fingerprint"}
    assert last["choices"][0]["finish_reason"] == "length"
    assert "stop_reason" in last["choices"][0]
    assert {chunk["object"] for chunk in (first, *middle, last)} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in (first, *middle, last)}) == 1


def test_a_completion_stream(server: Engine) -> None:
    *middle, last = chunks(server, "/v1/completions", TEXT)
    envelope = {"id", "object", "created", "model", "choices"}
    keys = {"index", "text", "logprobs", "finish_reason", "stop_reason", "prompt_token_ids", "token_ids"}
    for chunk in middle:
        assert (set(chunk), set(chunk["choices"][0])) == (envelope, keys)
        assert chunk["choices"][0]["finish_reason"] is None
    assert set(last) == envelope | {"system_fingerprint"}
    assert last["choices"][0]["finish_reason"] == "length"
    assert {chunk["object"] for chunk in (*middle, last)} == {"text_completion"}


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)])
def test_a_stream_with_its_usage_at_the_end(server: Engine, path: str, body: dict[str, Any]) -> None:
    *before, usage = chunks(server, path, body, include_usage=True)
    assert all("usage" not in chunk and "system_fingerprint" not in chunk for chunk in before)
    assert (usage["choices"], set(usage["usage"])) == ([], USAGE)
    assert usage["usage"]["completion_tokens"] == body["max_tokens"]
    assert usage["system_fingerprint"].startswith("vllm-")


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)])
def test_a_stream_with_usage_in_each_chunk(server: Engine, path: str, body: dict[str, Any]) -> None:
    *before, usage = chunks(server, path, body, include_usage=True, continuous_usage_stats=True)
    counts = [chunk["usage"]["completion_tokens"] for chunk in before]
    assert counts == sorted(counts)
    assert (counts[-1], usage["usage"]["completion_tokens"]) == (body["max_tokens"], body["max_tokens"])
    details = {"completion_tokens_details"} if "messages" in body else set()
    assert {frozenset(chunk["usage"]) for chunk in before} == {frozenset(USAGE | details)}


LONG_CHAT = {"messages": [{"role": "user", "content": "x" * 9000}]}
WHOLE_WITH_OPTIONS = {"prompt": "x", "stream_options": {"include_usage": True}}
LONG = "This model's maximum context length is 2048 tokens. However, your prompt contains"


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "param", "message"),
    [
        ("chat/", CHAT | {"model": "big"}, 404, "NotFoundError", "model", "The model `big` does not exist."),
        ("", {"prompt": "x", "model": "big"}, 404, "NotFoundError", "model", "Valid aliases: tiny."),
        ("chat/", b"{", 400, "Bad Request", "body.1", "JSON decode error"),
        ("chat/", b"[]", 400, "Bad Request", "body", "Input should be a valid dictionary"),
        ("", {"prompt": [1] * 3000}, 400, "BadRequestError", "input_tokens", LONG),
        ("chat/", LONG_CHAT, 400, "BadRequestError", "input_tokens", LONG),
        ("", {"prompt": [1] * 2048}, 400, "BadRequestError", "max_tokens", "max_tokens must be at least 1, got 0."),
        ("chat/", CHAT | {"max_tokens": 2049}, 400, "BadRequestError", "max_tokens", "max_tokens=2049 cannot be"),
        ("", {}, 400, "BadRequestError", "prompt", "Either prompt or prompt_embeds must be provided and non-empty."),
        ("", {"prompt": ""}, 400, "BadRequestError", "prompt", "(parameter=prompt)"),
        ("chat/", {"messages": "x"}, 400, "Bad Request", "body.messages", "Input should be a valid list"),
        ("chat/", {"messages": []}, 400, "BadRequestError", None, "empty conversation"),
        ("", {"prompt": "x", "max_tokens": -1}, 400, "BadRequestError", "max_tokens", "at least 1, got -1."),
        ("", {"prompt": "x", "max_tokens": "many"}, 400, "Bad Request", "body.max_tokens", "valid integer"),
        ("", {"prompt": "x", "min_tokens": 20}, 400, "BadRequestError", None, "min_tokens must be less than or equal"),
        ("", {"prompt": "x", "temperature": -1}, 400, "BadRequestError", "temperature", "non-negative, got -1.0."),
        ("", WHOLE_WITH_OPTIONS, 400, "BadRequestError", "stream_options", "Stream options can only be"),
    ],
)  # fmt: skip
def test_refusals(
    *, server: Engine, path: str, body: Any, status: int, kind: str, param: str | None, message: str
) -> None:
    answer = server.ask("POST", f"/v1/{path}completions", body)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["type"], error["param"]) == (status, status, kind, param)
    assert message in error["message"]
    assert set(answer.json) == {"error"}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/v1/nothing", 404, {"detail": "Not Found"}),
        ("GET", "/v1/completions", 405, {"detail": "Method Not Allowed"}),
        ("OPTIONS", "/v1/models", 405, {"detail": "Method Not Allowed"}),
    ],
)
def test_wrong_paths_and_methods(*, server: Engine, method: str, path: str, status: int, body: dict[str, str]) -> None:
    assert server.ask(method, path).json == body
    assert server.ask(method, path).status == status


def test_a_body_of_another_type(server: Engine) -> None:
    answer = server.ask("POST", "/v1/completions", b"{}", {"Content-Type": "text/plain"})
    assert (answer.status, answer.json["error"]["type"]) == (400, "Bad Request")
    assert "Only 'application/json' is allowed" in answer.json["error"]["message"]


def test_the_key_guards_v1_and_nothing_else(server: Engine) -> None:
    refused = (401, {"error": "Unauthorized"})
    assert server.post("/v1/chat/completions", CHAT, NO_KEY) == refused
    for header in ("", "Bearer wrong", f"Basic {KEY}", KEY):
        answer = server.ask("GET", "/v1/models", headers={"Authorization": header})
        assert (answer.status, answer.json) == refused, header
        assert "vary" not in answer.headers
    assert server.ask("GET", "/v1/nothing", headers=NO_KEY).status == 401
    assert server.ask("GET", "/v1/models", headers={"Authorization": f"bearer {KEY}"}).status == 200
    for path in ("/health", "/ping", "/metrics", "/version"):
        assert server.ask("GET", path, headers=NO_KEY).status == 200, path


def test_counters_move_by_what_was_served(server: Engine) -> None:
    """Twelve tokens after a prompt of 30; the prompt differs from all others, so nothing of it is cached."""
    moved = {
        "vllm:prompt_tokens_total": 30,
        "vllm:generation_tokens_total": 12,
        'vllm:request_success_total{engine="0",finished_reason="length"': 1,
        "vllm:time_to_first_token_seconds_count": 1,
        "vllm:inter_token_latency_seconds_count": 11,
        "vllm:iteration_tokens_total_count": 12,
        "vllm:iteration_tokens_total_sum": 42,
        "vllm:prefix_cache_queries_total": 30,
        "vllm:e2e_request_latency_seconds_count": 1,
        "vllm:request_prompt_tokens_sum": 30,
        "vllm:request_generation_tokens_sum": 12,
        "vllm:request_params_max_tokens_sum": 12,
        'http_requests_total{handler="/v1/completions",method="POST",status="2xx"}': 1,
    }
    before = {name: server.value(name) for name in moved}
    assert server.post("/v1/completions", TEXT | {"prompt": [7] * 30})[0] == 200
    wait_for(
        lambda: (
            server.value("vllm:e2e_request_latency_seconds_count") > before["vllm:e2e_request_latency_seconds_count"]
        ),
        "the request was never counted",
    )
    assert {name: server.value(name) - before[name] for name in moved} == moved
    assert server.value("vllm:num_requests_running") == 0
    assert server.value("vllm:num_requests_waiting") == 0
    assert server.value("vllm:kv_cache_usage_perc") == 0


def test_the_cache_is_described(server: Engine) -> None:
    line = next(line for line in server.page().splitlines() if line.startswith("vllm:cache_config_info{"))
    labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
    assert (labels["num_gpu_blocks"], labels["block_size"]) == (str(pod.BLOCKS), "128")
    assert labels["num_gpu_blocks_override"] == str(pod.BLOCKS)
    assert int(labels["kv_cache_size_tokens"]) == pod.BLOCKS * 128


def test_health_and_metrics_are_not_logged_and_requests_are(server: Engine) -> None:
    for path in ("/health", "/metrics", "/version"):
        server.ask("GET", path)
    log = server.log()
    assert re.search(r'127\.0\.0\.1:\d+ - "GET /version HTTP/1\.1" 200 OK', log)
    assert not re.search(r'"GET /(health|metrics) HTTP', log)


def test_sigterm_lets_streams_end_and_refuses_new_requests(server: Engine) -> None:
    """The last test: eight streams complete, /health stays 200, new requests get HTTP 500, the exit code is 0 in time.

    The real one refuses text because its tokenizer's threads have ended; token ids it answers with HTTP 200, no token
    and the finish reason "abort", which the simulated one does not. The cache holds half of these answers at a time: so
    long an engine has work left when a busy server has passed on the first token of each.
    """
    streams = [server.stream(tokens=ANSWER, prompt=[number] * 8) for number in range(8)]
    for stream in streams:
        stream.first()
    server.terminate()
    late = {"prompt": "hello", "max_tokens": 1}
    wait_for(lambda: server.post("/v1/completions", late)[0] == 500, "new requests were never refused")
    for path, body in (("/v1/completions", late), ("/v1/chat/completions", CHAT | {"stream": True})):
        status, answer = server.post(path, body)
        message = "cannot schedule new futures after shutdown"
        error = {"message": message, "type": "InternalServerError", "param": None, "code": 500}
        assert (status, answer) == (500, {"error": error})
    assert server.request("GET", "/health")[0] == 200
    assert [stream.rest() for stream in streams] == [(ANSWER, True)] * 8
    began = time.monotonic()
    code, took = server.exit_code(), time.monotonic() - began
    print(f"ended {took:.1f} s after the last answer; pods have {EXIT_SECONDS} s")
    assert (code, took < EXIT_SECONDS) == (0, True)
