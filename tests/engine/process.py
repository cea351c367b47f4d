"""Runs an engine, the real one or sim-engine, as a process on loopback from the operator's own argv and environment."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cluster.processes import Daemon, tail
from tests.engine import pod, tiny_model
from tests.engine.client import Client, free_port, wait_for
from tests.unit.sim_engine.server import PATH

START_SECONDS = 240.0
"""Longest start of a real engine: three processes that import torch; 30 s on two idle cores."""
END_SECONDS = 60.0
KEY = "a-secret-key"
REAL, SIMULATED = "real", "simulated"


class Engine(Client):
    """One engine and all the processes that it starts."""

    def __init__(self, kind: str, wanted: dict[str, Any], folder: Path) -> None:
        """Start it; `wait_ready` waits.

        Args:
            kind: REAL or SIMULATED.
            wanted: the spec of its LLMDeployment, see `pod.spec`.
            folder: for volumes and log.
        """
        guarded = "access" in wanted
        super().__init__(free_port(), key=KEY if guarded else "")
        self.pod = pod.Adapted(
            template=pod.template(wanted),
            port=self.port,
            root=folder / "root",
            secrets={"VLLM_API_KEY": KEY} if guarded else {},
        )
        self.pod.prepare()
        tiny_model.write(self.model)
        argv, env = self.pod.argv, self.pod.env
        if kind == SIMULATED:
            argv = [sys.executable, "-m", "sim_engine", *argv[1:]]
            env |= {"PYTHONPATH": PATH, "SIM_STARTUP_SECONDS": "1", "SIM_OUTPUT_TOKENS": "2000"}
        clean = ["env", "--ignore-environment", *(f"{name}={value}" for name, value in env.items())]
        self.daemon = Daemon(f"the {kind} engine", [*clean, *argv], log=folder / "engine.log")

    @property
    def model(self) -> Path:
        """The folder of the model."""
        return self.pod.root / "model" / pod.NAME

    def termination_message(self) -> str:
        """What the kubelet keeps of it: its own words, else the end of its log: 80 lines and 2,048 bytes at most."""
        own = self.pod.termination_log.read_text()
        return own or "".join(self.log().splitlines(keepends=True)[-80:]).encode()[-2048:].decode(errors="replace")

    def wait_ready(self) -> None:
        """Wait until it listens.

        Raises:
            CommandError: it has ended; the message has the last lines of its log.
        """

        def listening() -> bool:
            self.daemon.check()
            return self.listening()

        wait_for(listening, f"the engine never listened\n{tail(self.daemon.log)}", seconds=START_SECONDS)

    def probe(self) -> tuple[bool, str]:
        """Run the startup probe's own command, as the kubelet would; whether it succeeded, and what it said."""
        done = subprocess.run(self.pod.probe, env=self.pod.env, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode == 0, done.stderr.strip()

    def log(self) -> str:
        """What it has written so far."""
        return self.daemon.log.read_text()

    def terminate(self) -> None:
        """SIGTERM, as at the end of a preStop hook."""
        os.kill(self.daemon.pid, signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait for its end."""
        return self.daemon.wait(END_SECONDS)

    def engine_processes(self) -> list[int]:
        """The real engine's own processes, which the API server started: core and worker."""
        return [pid for pid in self._family() if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"VLLM::")]

    def engine_core(self) -> int:
        """The process that schedules; numbers of processes begin anew, so the order of them says nothing."""
        core = b"VLLM::EngineCore"
        return next(
            pid for pid in self.engine_processes() if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(core)
        )

    def _family(self) -> list[int]:
        """Every process of its session."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(int(entry.name)) == self.daemon.pid:
                    found.append(int(entry.name))
        return found

    def end(self) -> None:
        """End every process of it at once."""
        self.close_streams()
        for pid in self._family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemon.kill()
        deadline = time.monotonic() + END_SECONDS
        while self._family() and time.monotonic() < deadline:
            time.sleep(0.05)


@contextlib.contextmanager
def engine(kind: str, wanted: dict[str, Any], folder: Path, *, ready: bool = True) -> Iterator[Engine]:
    """An engine that is gone afterwards, with all its processes, whatever happens."""
    started = Engine(kind, wanted, folder)
    try:
        if ready:
            started.wait_ready()
        yield started
    finally:
        started.end()
