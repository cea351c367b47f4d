"""The API server's audit log: who wrote what, and when. The judge of "exactly one rollout" and "no writes at rest"."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def policy(*, reads: bool = False, level: str = "Metadata") -> dict[str, Any]:
    """What the API server shall log: writes of everybody.

    Args:
        reads: get, list and watch too, but not those of the cluster's own components.
        level: Metadata, Request (with the body that was sent) or RequestResponse.
    """
    rules: list[dict[str, Any]] = [{"level": level, "verbs": sorted(WRITES)}]
    if reads:
        components = [
            "system:apiserver",
            "system:kube-controller-manager",
            "system:kube-scheduler",
            "system:kube-proxy",
        ]
        rules.append({"level": "None", "users": components})
        groups = ["system:nodes", "system:serviceaccounts:kube-system"]
        rules.append({"level": "None", "userGroups": groups})
        rules.append({"level": "Metadata", "verbs": ["get", "list", "watch"]})
    rules.append({"level": "None"})
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": rules,
    }


@dataclass(frozen=True, kw_only=True)
class Event:
    """One request that the API server answered."""

    time: dt.datetime
    verb: str
    user: str
    agent: str
    group: str
    """API group of the resource; empty for the core one."""
    resource: str
    """Plural, with the subresource after a slash: `deployments/scale`."""
    namespace: str
    name: str
    code: int
    """HTTP status of the answer; 0 while a watch is running."""
    is_unauthorized: bool
    """Refused for want of rights. A quota, or a namespace that is on its way out, gives the same HTTP status."""
    dry_run: bool
    body: Any
    """What was sent, if the policy's level is Request or more; else None."""

    @property
    def is_write(self) -> bool:
        """Whether it changed, or could have changed, what is stored: a dry run did not, a refused request did not."""
        return self.verb in WRITES and not self.dry_run and self.code < 400

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one line of the log."""
        entry = json.loads(line)
        target = entry.get("objectRef", {})
        sub = target.get("subresource")
        query = parse_qs(urlsplit(entry["requestURI"]).query)
        return cls(
            time=dt.datetime.fromisoformat(entry["stageTimestamp"]),
            verb=entry["verb"],
            user=entry["user"].get("username", ""),
            agent=entry.get("userAgent", ""),
            group=target.get("apiGroup", ""),
            resource=target.get("resource", "") + (f"/{sub}" if sub else ""),
            namespace=target.get("namespace", ""),
            name=target.get("name", ""),
            code=entry.get("responseStatus", {}).get("code", 0),
            is_unauthorized=entry.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid",
            dry_run="dryRun" in query,
            body=entry.get("requestObject"),
        )


class AuditLog:
    """Reads the log of one API server. Cheap to ask again: what was read is remembered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0
        self._events: list[Event] = []

    def events(
        self,
        *,
        since: dt.datetime | None = None,
        user: str = "",
        agent: str = "",
        where: Callable[[Event], bool] = lambda _: True,
    ) -> list[Event]:
        """The requests so far.

        Args:
            since: only those answered at or after this time (with a time zone).
            user: part of the user's name, such as `system:serviceaccount:llmfleet:`.
            agent: part of the user agent.
            where: any further condition.
        """
        self._events.extend(self._read())
        return [
            event
            for event in self._events
            if (since is None or event.time >= since) and user in event.user and agent in event.agent and where(event)
        ]

    def writes(self, *, since: dt.datetime | None = None, user: str = "", agent: str = "") -> list[Event]:
        """The requests that changed, or could have changed, what is stored."""
        return self.events(since=since, user=user, agent=agent, where=lambda event: event.is_write)

    def _read(self) -> Iterator[Event]:
        if not self.path.exists():
            return
        with self.path.open() as log:
            log.seek(self._position)
            while (line := log.readline()).endswith("\n"):  # a line without its end is still being written
                self._position = log.tell()
                yield Event.parse(line)


def count(events: list[Event]) -> Counter[str]:
    """How many requests of each kind, as `patch deployments`: what a failing assertion should show."""
    return Counter(f"{event.verb} {event.resource}" for event in events)
