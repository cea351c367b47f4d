"""What became of starts: how long engines took to Ready, and which ended before.

Each is noted once, so that neither a flicker nor a second look counts again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import Counter

from llmfleet.kube.pods import PodView
from llmfleet.kube.resources import Key

_Start = tuple[str, float]
"""uid of the pod, and when its engine container started."""


@dataclass
class Startups:
    """The last start of each LLMDeployment."""

    since: float
    """Unix time at which this process began to look."""
    _noted: dict[Key, set[_Start]] = field(default_factory=dict)
    _last: dict[Key, int] = field(default_factory=dict)

    def note(self, key: Key, pods: Iterable[PodView], *, of_any_age: bool) -> int | None:
        """Take note of the pods that are ready.

        Args:
            key: the object.
            pods: its pods.
            of_any_age: count starts of before this process too: a guess, since such a pod may have been unready
                in between, but better than nothing.

        Returns:
            Seconds from container start to Ready of the engine that became ready last; None if unknown.
        """
        alive = {pod.uid: pod for pod in pods}
        noted = {start for start in self._noted.get(key, set()) if start[0] in alive}
        ready = {(pod.uid, pod.started_at): pod for pod in alive.values() if pod.ready and pod.started_at}
        fresh = [pod for start, pod in ready.items() if start not in noted]
        self._noted[key] = noted | ready.keys()
        counted = [pod for pod in fresh if of_any_age or pod.ready_since >= self.since]
        if counted:
            last = max(counted, key=lambda pod: pod.ready_since)
            self._last[key] = round(last.ready_since - last.started_at)
        return self._last.get(key)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._noted.pop(key, None)
        self._last.pop(key, None)


@dataclass
class FailedStarts:
    """Engines that ended before their pod was ever ready, told to a counter as they are seen."""

    since: float
    """Unix time at which this process began to look: what failed before was counted by the one before it."""
    counter: Counter
    """Labels: namespace, name, reason."""
    _seen: dict[Key, dict[str, int]] = field(default_factory=dict)
    """uid of the pod -> failures."""
    _reasons: dict[Key, set[str]] = field(default_factory=dict)

    def note(self, key: Key, pods: Iterable[PodView]) -> None:
        """Count what failed since the last look."""
        before, now = self._seen.get(key, {}), {}
        for pod in pods:
            old = before.get(pod.uid, 0 if pod.created_at >= self.since else pod.failed_starts)
            now[pod.uid] = max(old, pod.failed_starts)
            if pod.failure is not None and now[pod.uid] > old:
                reason = pod.failure.reason.value
                self._reasons.setdefault(key, set()).add(reason)
                self.counter.labels(*key, reason).inc(now[pod.uid] - old)
        self._seen[key] = now

    def forget(self, key: Key) -> None:
        """The object is gone, and its series with it."""
        self._seen.pop(key, None)
        for reason in self._reasons.pop(key, set()):
            self.counter.remove(*key, reason)


@dataclass
class Restarts:
    """Engine containers that the kubelet started again, told to a counter as they are seen."""

    since: float
    """Unix time at which this process began to look: what earlier pods went through was counted by the one before."""
    counter: Counter
    """Labels: namespace, name."""
    _seen: dict[Key, dict[str, int]] = field(default_factory=dict)
    """uid of the pod -> restarts."""

    def note(self, key: Key, pods: Iterable[PodView]) -> None:
        """Count the restarts since the last look. The series begins with the first look, so that a rate sees each."""
        counted, before, now = self.counter.labels(*key), self._seen.get(key, {}), {}
        for pod in pods:
            old = before.get(pod.uid, 0 if pod.created_at >= self.since else pod.restarts)
            now[pod.uid] = max(old, pod.restarts)
            counted.inc(now[pod.uid] - old)
        self._seen[key] = now

    def forget(self, key: Key) -> None:
        """The object is gone, and its series with it."""
        if self._seen.pop(key, None) is not None:
            self.counter.remove(*key)
