"""Start, SIGTERM, faults and exit codes, as measured on the real vLLM."""

import re
import socket
import subprocess
import sys
import time

import pytest

from sim_engine.main import KEEP_ALIVE_SECONDS
from tests.engine.client import PATIENCE_SECONDS
from tests.unit.sim_engine.server import PATH, running

SLOW = {"SIM_TIME_SCALE": "0.5"}  # a token in about 10 ms
DRAIN = "--shutdown-timeout=20"


def test_connections_are_refused_while_it_loads_and_sigterm_then_is_an_error() -> None:
    with running(env={"SIM_FAULTS": "slow-start=60"}, ready=False) as server:
        assert server.process.stdout is not None
        assert "vLLM API server version 0.32.0" in server.process.stdout.readline()
        assert not server.listening()
        server.terminate()
        assert server.wait() == 130
        assert "KeyboardInterrupt: terminated" in server.output()


def test_the_start_says_what_the_real_one_says() -> None:
    with running("--max-model-len=8192") as server:
        server.terminate()
        assert server.wait() == 0
    said = server.output()
    assert "Model loading took 14.96 GiB" in said
    assert "GPU KV cache size: 921,328 tokens, Maximum concurrency for 8,192 tokens per request: 112.47x" in said
    assert "Application startup complete." in said


def test_statistics_are_logged_while_something_runs() -> None:
    with running(env=SLOW | {"VLLM_LOG_STATS_INTERVAL": "0.1"}) as server:
        assert server.stream(tokens=60).rest() == (60, True)
        server.terminate()
        assert server.wait() == 0
    assert re.search(r"Avg generation throughput: \d+\.\d tokens/s, Running: 1 reqs, Waiting: 0 reqs", server.output())


@pytest.mark.parametrize(
    ("flags", "env", "code", "text"),
    [
        (["--no-such-flag=1"], {}, 2, "unrecognized arguments: --no-such-flag=1"),
        (["--gpu-memory-utilization=0.05"], {}, 1, "No available memory for the cache blocks"),
        ([], {"SIM_FAULTS": "start-error"}, 1, "CUDA out of memory"),
        ([], {"SIM_START_ERROR": "Cannot find the config file for awq"}, 1, "ValueError: Cannot find the config file"),
    ],
)
def test_a_failed_start(*, flags: list[str], env: dict[str, str], code: int, text: str) -> None:
    with running(*flags, env=env, ready=False) as server:
        assert server.wait() == code
    assert text in server.output()
    assert ("Engine core initialization failed" in server.output()) == (code == 1)


@pytest.mark.parametrize(("argv", "code", "said"), [(["--version"], 0, "0.32.0\n"), (["bench"], 2, "")])
def test_other_commands(*, argv: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sim_engine", *argv],
        env={"PYTHONPATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, said)


def test_sigterm_without_patience_cuts_streams() -> None:
    with running(env=SLOW) as server:
        stream = server.stream(tokens=2000)
        stream.first()
        server.terminate()
        tokens, whole = stream.rest()
        assert server.wait() == 0
        assert (tokens < 2000, whole) == (True, False)


def test_sigterm_with_patience_lets_streams_end_and_refuses_new_requests() -> None:
    with running(DRAIN, env={"SIM_TIME_SCALE": "0.25"}) as server:
        streams = [server.stream(tokens=100) for _ in range(8)]
        for stream in streams:
            stream.first()
        server.terminate()
        server.wait_state("draining", value=True)
        assert server.request("GET", "/health")[0] == 200
        status, body = server.post("/v1/completions", {"prompt": "x"})
        assert (status, body["error"]["type"]) == (500, "InternalServerError")
        assert [stream.rest() for stream in streams] == [(100, True)] * 8
        assert server.wait() == 0


def test_patience_has_an_end() -> None:
    with running("--shutdown-timeout=1", env=SLOW) as server:
        stream = server.stream(tokens=2000)
        stream.first()
        server.terminate()
        assert not stream.rest()[1]
        assert server.wait() == 0


@pytest.mark.parametrize(("fault", "code"), [("crash", 0), ("crash=3", 3)])
def test_a_crash_fails_what_is_in_flight_and_ends_the_process(*, fault: str, code: int) -> None:
    with running(DRAIN, env=SLOW) as server:
        stream = server.stream(tokens=2000)
        stream.first()
        server.fault(fault)
        events = list(stream.events())
        assert "EngineCore encountered an issue" in events[-2]
        assert events[-1] == "[DONE]"
        assert server.wait() == code


def test_a_crash_at_a_set_time() -> None:
    with running(env={"SIM_FAULTS": "crash@0.1"}) as server:
        assert server.wait() == 0
    assert "EngineCore encountered a fatal error" in server.output()


def test_a_hang_is_healthy_to_the_eye_and_nothing_moves_until_it_is_cleared() -> None:
    with running(env=SLOW) as server:
        stream = server.stream(tokens=150)
        stream.first()
        server.fault("hang")
        server.wait_state("hang", value=True)
        steps = server.value("vllm:iteration_tokens_total_count")
        late = server.stream(tokens=1)
        server.wait_state("waiting", 1)
        time.sleep(0.2)
        assert server.request("GET", "/health")[0] == 200
        assert server.value("vllm:iteration_tokens_total_count") == steps
        assert server.value("vllm:num_requests_running") == 1
        assert server.value("vllm:num_requests_waiting") == 0
        server.fault("clear")
        assert (stream.rest(), late.rest()) == ((150, True), (1, True))


def test_metrics_can_be_off_nan_frozen_and_reset() -> None:
    with running() as server:
        ask = ("/v1/completions", {"prompt": [1] * 5, "max_tokens": 3, "ignore_eos": True})
        server.post(*ask)
        server.fault("metrics=frozen")
        frozen = server.page()
        server.post(*ask)
        assert server.page() == frozen
        server.fault("metrics=nan")
        values = [line.rsplit(" ", 1)[1] for line in server.page().splitlines() if line.startswith("vllm:")]
        assert set(values) == {"NaN"}
        server.fault("metrics=off")
        assert server.request("GET", "/metrics")[0] == 404
        server.fault("clear")
        assert server.value("vllm:prompt_tokens_total") == 10
        server.fault("metrics=reset")
        assert server.value("vllm:prompt_tokens_total") == 0
        server.post(*ask)
        assert server.value("vllm:prompt_tokens_total") == 5


def test_a_connection_waits_for_its_first_request_and_not_as_long_for_the_next() -> None:
    """As uvicorn does: a client that is slow to ask was closed on without an answer."""
    ask = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with running() as server, socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as slow:
        time.sleep(KEEP_ALIVE_SECONDS + 1)
        slow.sendall(ask)
        assert slow.recv(4096).startswith(b"HTTP/1.1 200 OK")
        answered = time.monotonic()
        assert slow.recv(4096) == b""
        assert time.monotonic() - answered > KEEP_ALIVE_SECONDS - 1
