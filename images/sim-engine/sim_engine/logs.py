"""Log lines in the form of vLLM's, so that what reads the real ones can be tried on these.

`main.py` writes them; the texts an operator looks for are the model's loading time, the size of the KV cache and the
periodic statistics.
"""

import asyncio
import os
import time
from http import HTTPStatus

from aiohttp import web

from llmfleet.sim.profiles import GIB
from sim_engine.engine import Engine
from sim_engine.families import KV_USAGE
from sim_engine.settings import EngineConfig


def log(level: str, message: str, *, process: str = "APIServer") -> None:
    """One line on stdout."""
    now = time.strftime("%m-%d %H:%M:%S")
    print(f"({process} pid={os.getpid()}) {level} {now} [sim-engine] {message}", flush=True)  # noqa: T201


def engine_log(level: str, message: str) -> None:
    """A line of the engine's process, which is not a process of its own here."""
    log(level, message, process="EngineCore_DP0")


def access_line(request: web.BaseRequest, status: int) -> None:
    """One line of uvicorn's access log."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    client = f"{peer[0]}:{peer[1]}" if peer else ""
    words = f"{status} {HTTPStatus(status).phrase}"
    print(f'INFO:     {client} - "{request.method} {request.path} HTTP/1.1" {words}', flush=True)  # noqa: T201


def startup_lines(config: EngineConfig) -> list[str]:
    """What a start says, one line a stage; the times of the stages are not simulated and not said."""
    cache = config.capacity
    times = cache.tokens / config.max_model_len
    concurrency = f"Maximum concurrency for {config.max_model_len:,} tokens per request: {times:.2f}x"
    return [
        f"Initializing a V1 LLM engine with config: model='{config.model}', max_seq_len={config.max_model_len}",
        f"Model loading took {config.weights_bytes / GIB:.2f} GiB memory",
        f"Available KV cache memory: {cache.kv_bytes / GIB:.2f} GiB",
        f"GPU KV cache size: {cache.tokens:,} tokens, {concurrency}",
    ]


async def log_stats(engine: Engine, interval: float) -> None:
    """The line of statistics, every `interval` seconds in which something ran."""
    prompt, generated = _tokens(engine)
    while True:
        await asyncio.sleep(interval)
        before, (prompt, generated) = (prompt, generated), _tokens(engine)
        if (prompt, generated) == before and not engine.in_flight:
            continue
        engine_log(
            "INFO",
            f"Engine 000: Avg prompt throughput: {(prompt - before[0]) / interval:.1f} tokens/s, Avg generation "
            f"throughput: {(generated - before[1]) / interval:.1f} tokens/s, Running: {engine.replica.running} reqs, "
            f"Waiting: {engine.replica.waiting} reqs, GPU KV cache usage: "
            f"{100 * engine.book.values[KV_USAGE, '']:.1f}%, Prefix cache hit rate: 0.0%",
        )


def _tokens(engine: Engine) -> tuple[float, float]:
    values = engine.book.values
    return values["vllm:prompt_tokens", ""], values["vllm:generation_tokens", ""]
