"""A record of everything that happened in a namespace, read from the API server's watch."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from tests.cluster import api
from tests.cluster.api import ApiError
from tests.cluster.cluster import Cluster

KINDS = (
    "llmdeployments",
    "deployments",
    "replicasets",
    "pods",
    "services",
    "poddisruptionbudgets",
    "horizontalpodautoscalers",
)
PAUSE = 0.5
"""Seconds between looks at what no watch tells."""


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
        self._api = cluster.api
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._open: dict[str, api.Watch] = {}
        paths = [api.resource(kind).path(namespace=namespace) for kind in KINDS]
        self._threads = [threading.Thread(target=self._read, args=(path,), daemon=True) for path in paths]

    def _read(self, path: str) -> None:
        """Watch one kind for the whole story. A watch that ended is opened again, and tells anew what is there."""
        while not self._over.is_set():
            with contextlib.suppress(ApiError):
                watch = self._open[path] = self._api.watch(path)
                if self._over.is_set():
                    watch.stop()
                for event in watch:
                    self._take(Event(time.monotonic(), event["type"], event["object"]))
            self._over.wait(PAUSE)

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

    def until_told(self, what: str, reached: Callable[[], bool], *, timeout: float = 120.0) -> None:
        """Ask now and again until something is as wanted that the watch does not tell.

        Raises:
            AssertionError: as `until`.
        """
        deadline = time.monotonic() + timeout
        while not reached():
            assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what}\n{self.describe()}"
            time.sleep(PAUSE)

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
        self._over.set()
        for watch in list(self._open.values()):
            watch.stop()
        for thread in self._threads:
            thread.join()
