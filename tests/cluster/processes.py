"""Commands that end by themselves, and daemons that end with the process that started them."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

_POLL_SECONDS = 0.05


class CommandError(RuntimeError):
    """A command failed. The message has the command and what it wrote to stderr."""


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Run a command to its end and return its standard output.

    Raises:
        CommandError: its exit code was not 0.
        subprocess.TimeoutExpired: it took longer than `timeout` seconds; it has been killed.
    """
    done = subprocess.run(
        argv, input=stdin, env=_environment(env), cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        words = " ".join(str(word) for word in argv)
        raise CommandError(f"exit code {done.returncode}: {words}\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _environment(extra: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if extra is None else {**os.environ, **extra}


class Daemon:
    """One long-running process with a log file. It is killed when the thread that started it ends."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        die_with_parent: bool = True,
        pass_fds: Sequence[int] = (),
    ) -> None:
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if die_with_parent else []
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*guard, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(env),
                pass_fds=pass_fds,
                start_new_session=True,  # Ctrl-C in a terminal reaches the starter alone, which then stops in order
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            CommandError: it has ended; the message has the last lines of its log.
        """
        code = self._process.poll()
        if code is not None:
            raise CommandError(f"{self.name} ended with exit code {code}:\n{tail(self.log)}")

    def wait(self, timeout: float) -> int:
        """Wait for its end, at most so many seconds; its exit code."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


class Daemons:
    """The processes of one cluster; one that dies is noticed by the next wait, with its name and last words."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._running: dict[str, Daemon] = {}

    def start(self, name: str, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> Daemon:
        """Start a process; its output goes to NAME.log."""
        daemon = Daemon(name, argv, log=self._logs / f"{name}.log", env=env)
        self._running[name] = daemon
        return daemon

    def kill(self, name: str) -> None:
        """End one process, which is then missed by nobody."""
        self._running.pop(name).kill()

    def pid_of(self, name: str) -> int:
        """The process id of one of them."""
        return self._running[name].pid

    def name_of(self, pid: int) -> str:
        """The name of the process with this id; empty if it is none of these."""
        return next((name for name, daemon in self._running.items() if daemon.pid == pid), "")

    def check(self) -> None:
        """Raise `CommandError` if one of them has ended."""
        for daemon in self._running.values():
            daemon.check()

    def wait(self, what: str, ready: Callable[[], bool], *, timeout: float = 300.0) -> None:
        """Wait until `ready` says so while every process lives; see `wait_until`."""

        def alive_and_ready() -> bool:
            self.check()
            return ready()

        wait_until(what, alive_and_ready, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self._running)):
            self.kill(name)


def wait_until(what: str, ready: Callable[[], bool], *, timeout: float = 300.0, every: float = _POLL_SECONDS) -> None:
    """Wait until `ready` returns True. The limit is generous: a busy machine is no failure.

    Args:
        what: what is waited for, for the message.
        ready: asked again and again.
        timeout: seconds to wait at most.
        every: seconds between two questions; many, if asking is work for the machine that is waited for.

    Raises:
        TimeoutError: it did not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}")
        time.sleep(every)


def succeeds(argv: Sequence[str | Path]) -> bool:
    """Whether a command ends with exit code 0."""
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
