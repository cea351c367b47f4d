"""The life of the process: flags, start-up, serving, SIGTERM, exit code.

Exit codes are those of vLLM as measured: 2 for a bad flag, 1 for a failed start, 130 for SIGTERM during start-up, 0 for
SIGTERM while serving (drained or not) and 0 for a crashed engine unless the fault names another.
"""

import argparse
import asyncio
import functools
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import NoReturn, cast

from aiohttp import web

from sim_engine.engine import Engine
from sim_engine.exposition import EngineCollector, Page
from sim_engine.families import families
from sim_engine.faults import Fault, Faults
from sim_engine.flags import parse_serve
from sim_engine.logs import engine_log, log, log_stats, startup_lines
from sim_engine.server import State, application
from sim_engine.settings import EngineConfig, SimSettings, StartError, from_environment, resolve
from sim_engine.stats import Book

USAGE = "usage: vllm [-h] [-v] {serve} ..."
KEEP_ALIVE_SECONDS = 5
"""After an answer. As in uvicorn, the first request of a connection may take any time to come."""
BACKLOG = 2048
CRASH_EXIT_SECONDS = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """The `vllm` command."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _terminated)  # process 1 ignores it otherwise
    try:
        sim = from_environment(os.environ)
        if not arguments or arguments[0] != "serve":
            return _other(arguments, sim)
        args = parse_serve(arguments[1:], sim.parsed_version)
        return serve(args, sim)
    except StartError as error:
        return _failed(str(error))
    except KeyboardInterrupt as error:
        print(f"KeyboardInterrupt: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 130


def _terminated(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt("terminated")


def _other(arguments: list[str], sim: SimSettings) -> int:
    """Everything but `vllm serve`."""
    if arguments and arguments[0] in {"-v", "--version"}:
        print(sim.version)  # noqa: T201
        return 0
    wanted_help = bool(arguments) and arguments[0] in {"-h", "--help"}
    print(USAGE, file=sys.stdout if wanted_help else sys.stderr)
    return 0 if wanted_help else 2


def _failed(message: str) -> int:
    """A start that failed, told as vLLM does: the reason first, from the engine, and a useless last line."""
    engine_log("ERROR", "EngineCore failed to start.")
    engine_log("ERROR", f"ValueError: {message}")
    print(  # noqa: T201
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}",
        file=sys.stderr,
        flush=True,
    )
    return 1


def serve(args: argparse.Namespace, sim: SimSettings) -> int:
    """Start, then serve until told to stop; the exit code.

    Raises:
        StartError: the engine does not start with these flags.
        KeyboardInterrupt: SIGTERM came during start-up.
    """
    log("INFO", f"vLLM API server version {sim.version}")
    config = resolve(args, sim)
    extra = [fault for fault in sim.faults if fault.name in {"slow-start", "start-error"}]
    seconds = sim.startup_seconds + sum(float(fault.value) for fault in extra if fault.name == "slow-start")
    lines = startup_lines(config)
    for line in lines:
        time.sleep(seconds / len(lines))
        engine_log("INFO", line)
    if sim.start_error:
        raise StartError(sim.start_error)
    if any(fault.name == "start-error" for fault in extra):
        raise StartError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return asyncio.run(_serve(config, sim))


async def _serve(config: EngineConfig, sim: SimSettings) -> int:
    return await Process(config, sim).run()


class Process:
    """The serving process once the engine is initialised."""

    def __init__(self, config: EngineConfig, sim: SimSettings) -> None:
        self._config = config
        self._sim = sim
        self._faults = Faults()
        self._end = asyncio.Event()  # SIGTERM or a crash
        named = families(sim.parsed_version)
        book = Book(named, max_model_len=config.max_model_len)
        self._engine = Engine(config, book=book, faults=self._faults, tick=sim.tick_seconds)
        collector = EngineCollector(book, named, config=config, version=sim.parsed_version, faults=self._faults)
        page = Page(collector, faults=self._faults, log_stats=config.log_stats)
        self._state = State(config, sim, self._engine, page, self._faults, apply=self._apply)

    async def run(self) -> int:
        """Serve until SIGTERM or a crash; the exit code of an orderly end."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end.set)
        runner = web.AppRunner(
            application(self._state), handler_cancellation=True, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS
        )
        await runner.setup()
        connections = functools.partial(_connection, cast("web.Server", runner.server))  # setup has made it
        listener = await loop.create_server(connections, self._config.host, self._config.port, backlog=BACKLOG)
        log("INFO", "Application startup complete.")
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(self._engine.run())]
            background.append(group.create_task(log_stats(self._engine, self._sim.log_stats_interval)))
            background += [group.create_task(self._later(fault)) for fault in self._sim.faults]
            await self._end.wait()
            if self._faults.crash_code is not None:
                code = await self._crashed()
            else:
                code = await self._drained(runner, listener)
            for task in background:
                task.cancel()
        return code

    async def _crashed(self) -> int:
        engine_log("ERROR", "EngineCore encountered a fatal error.")
        await asyncio.sleep(CRASH_EXIT_SECONDS)
        _cut(self._faults.crash_code or 0)

    async def _drained(self, runner: web.AppRunner, listener: asyncio.Server) -> int:
        self._state.draining = True
        patience = self._config.shutdown_timeout
        log("INFO", f"Shutting down: {self._engine.in_flight} requests in flight, {patience:g} s for them")
        try:
            await asyncio.wait_for(self._state.quiet.wait(), patience)
        except TimeoutError:
            _cut(0)
        listener.close()
        await runner.cleanup()
        return 0

    async def _later(self, fault: Fault) -> None:
        await asyncio.sleep(fault.after)
        self._apply(fault)

    def _apply(self, fault: Fault) -> None:
        """Let a fault happen; those of the start-up have had their time."""
        if fault.name == "crash":
            self._faults.crash_code = int(fault.value or 0)
            self._engine.crash()
            self._end.set()
        elif fault.name == "hang":
            self._faults.hang = True
        elif fault.name == "metrics" and fault.value == "reset":
            self._engine.book.reset()
        elif fault.name == "metrics":
            self._faults.metrics = fault.value
        elif fault.name == "clear":
            self._faults.hang, self._faults.metrics = False, ""
            self._engine.wake()


def _connection(server: web.Server) -> asyncio.Protocol:
    """A connection that is kept until its first request; aiohttp alone would give it no longer than a later one."""
    connection = server()
    connection.keep_alive(val=False)
    return connection


def _cut(code: int) -> NoReturn:
    """End as a killed process does: no last chunk, no orderly end of a stream."""
    sys.stdout.flush()
    os._exit(code)
