"""Runs the real `vllm` command of sim-engine as a process on loopback, and talks to it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engine.client import PATIENCE_SECONDS, Client, free_port, wait_for

ROOT = Path(__file__).parents[3]
PATH = os.pathsep.join(str(ROOT / folder) for folder in ("operator", "images/sim-engine"))


class Server(Client):
    """One process; `env` and flags as an operator would give them."""

    def __init__(self, *flags: str, env: dict[str, str] | None = None) -> None:
        super().__init__(free_port())
        argv = ["serve", "org/model", "--host=127.0.0.1", f"--port={self.port}", *flags]
        fast = {"SIM_STARTUP_SECONDS": "0", "SIM_CONTROL": "1", "PYTHONPATH": PATH, "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sim_engine", *argv],
            env=fast | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._output = ""

    def wait_ready(self) -> None:
        def listening() -> bool:
            assert self.process.poll() is None, self.output()
            return self.listening()

        wait_for(listening, "the server never listened")

    def fault(self, text: str) -> None:
        assert self.post("/sim/fault", {"fault": text})[0] == 200

    def wait_state(self, name: str, value: object) -> None:
        wait_for(lambda: self.get("/sim/state")[1][name] == value, f"{name} never became {value}")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """The exit code."""
        self._output = self.process.communicate(timeout=PATIENCE_SECONDS)[0]
        return self.process.returncode

    def output(self) -> str:
        return self._output or self.process.communicate(timeout=PATIENCE_SECONDS)[0]


@contextmanager
def running(*flags: str, env: dict[str, str] | None = None, ready: bool = True) -> Iterator[Server]:
    """A server that is gone afterwards, whatever happens."""
    server = Server(*flags, env=env)
    try:
        if ready:
            server.wait_ready()
        yield server
    finally:
        server.close_streams()
        server.process.kill()
        server.process.communicate()
