"""A record of everything that happened in a namespace, read from the API server's watch."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from tests.cluster.cluster import Cluster

KINDS = "llmdeployments,deployments,replicasets,pods,services,poddisruptionbudgets"


@dataclass(frozen=True)
class Event:
    """One change of one object."""

    at: float
    type: str
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """Kind of the object."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.body["metadata"]["name"])


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether the pod takes requests: Ready, and not on its way out."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod.get("metadata", {})


class Watch:
    """`with Watch(cluster, namespace) as watch:` - the latest state of each object, and the whole history."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.history: list[Event] = []
        self.state: dict[tuple[str, str], dict[str, Any]] = {}
        self._changed = threading.Condition()
        command = f"kubectl get --namespace {namespace} --watch --output-watch-events -o json"
        self._processes = [
            subprocess.Popen([*command.split(), kind], env=cluster.env, stdout=subprocess.PIPE, text=True)
            for kind in KINDS.split(",")
        ]
        self._threads = [threading.Thread(target=self._read, args=(p,), daemon=True) for p in self._processes]

    def _read(self, process: "subprocess.Popen[str]") -> None:
        for line in process.stdout or ():
            event = json.loads(line)
            self._take(Event(time.monotonic(), event["type"], event["object"]))

    def _take(self, event: Event) -> None:
        with self._changed:
            self.history.append(event)
            if event.type == "DELETED":
                self.state.pop((event.kind, event.name), None)
            else:
                self.state[event.kind, event.name] = event.body
            self._changed.notify_all()

    def until(self, what: str, reached: Callable[[], bool], *, timeout: float = 120.0) -> None:
        """Wait until the state is as wanted.

        Raises:
            AssertionError: it was not within `timeout` seconds; the message has what was waited for and what is there.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not reached():
                if not self._changed.wait(max(0.0, min(1.0, deadline - time.monotonic()))) and (
                    time.monotonic() >= deadline
                ):
                    raise AssertionError(f"not within {timeout:.0f} s: {what}\n{self.describe()}")

    def during(self, seconds: float, forbidden: Callable[[], bool], what: str) -> None:
        """Look for that long and fail if the state is ever as forbidden."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (left := deadline - time.monotonic()) > 0:
                assert not forbidden(), f"{what}\n{self.describe()}"
                self._changed.wait(left)

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """The objects of a kind that exist."""
        return [body for (k, _), body in sorted(self.state.items()) if k == kind]

    def describe(self) -> str:
        """The objects and pods as they are, for a failed test."""
        lines = []
        for (kind, name), body in sorted(self.state.items()):
            status = body.get("status", {})
            conditions = [
                f"{c['type']}={c['status']} {c.get('reason', '')}: {c.get('message', '')}"
                for c in status.get("conditions", [])
            ]
            lines += [f"{kind} {name}", *(f"    {condition}" for condition in conditions)]
        return "\n".join(lines)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for thread in self._threads:
            thread.join()
            # The pipes are the threads' own; they are closed once nobody reads them any more.
        for process in self._processes:
            if process.stdout:
                process.stdout.close()
