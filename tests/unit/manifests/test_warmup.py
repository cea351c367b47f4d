"""The startup probe's program, as a process against a server on loopback."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from llmfleet.manifests.probes import WARMUP


@dataclass
class Engine:
    """What the server answers, and what it was asked."""

    health: int = 200
    completions: int = 200
    asked: list[tuple[str, str, str | None, Any]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def engine() -> Iterator[Engine]:
    state = Engine()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(state.health, None)

        def do_POST(self) -> None:
            self.answer(state.completions, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def answer(self, status: int, body: Any) -> None:
            state.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def probe(address: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it as the kubelet does, with a proxy in the environment that must not be used."""
    command = [sys.executable, "-I", "-S", "-c", WARMUP, address, "team/qwen"]
    env = {"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9"} | env
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


BODY = {"model": "team/qwen", "prompt": "Hello", "max_tokens": 1}


def test_it_succeeds_after_one_answer(engine: Engine) -> None:
    done = probe(engine.address)
    assert (done.returncode, done.stderr) == (0, "")
    assert engine.asked == [("GET", "/health", None, None), ("POST", "/v1/completions", None, BODY)]


def test_it_sends_the_api_key(engine: Engine) -> None:
    assert probe(engine.address, VLLM_API_KEY="secret").returncode == 0
    assert engine.asked[-1][2] == "Bearer secret"


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_an_engine_that_completes_no_text_is_warm(engine: Engine, status: int) -> None:
    engine.completions = status
    assert probe(engine.address).returncode == 0


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_failing_request_is_named(engine: Engine, status: int) -> None:
    engine.completions = status
    done = probe(engine.address)
    assert (done.returncode, done.stderr) == (1, f"the warm-up request was answered {status}\n")


def test_an_unhealthy_engine_is_not_asked(engine: Engine) -> None:
    engine.health = 503
    done = probe(engine.address)
    assert (done.returncode, done.stderr) == (1, "/health answered 503\n")
    assert [path for _, path, _, _ in engine.asked] == ["/health"]


def test_a_loading_engine_refuses_connections(engine: Engine) -> None:
    done = probe("127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("not ready: ")
    assert engine.asked == []


def test_a_key_with_a_line_break_is_explained_and_not_shown(engine: Engine) -> None:
    done = probe(engine.address, VLLM_API_KEY="secret\n")
    assert done.returncode == 1
    assert "one line without a line break" in done.stderr
    assert "secret\n" not in done.stderr
    assert "Bearer" not in done.stderr
