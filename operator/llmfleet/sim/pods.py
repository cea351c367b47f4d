"""The pods of a simulated fleet from creation to their end: who is made, who goes, what a crash takes along.

Between `fleet.py`, which brings requests and asks the rule, and `pod.py`. The heap of what will happen is here, since a
pod's life is made of waiting.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from heapq import heappush
from itertools import count
from operator import attrgetter
from random import Random
from typing import Any

from llmfleet.sim.accounts import Accounts
from llmfleet.sim.outcome import Change
from llmfleet.sim.pod import Pod
from llmfleet.sim.spec import FleetSpec

Happening = Callable[[float, Any], None]
in_flight = attrgetter("in_flight")


class Pods(ABC):
    """All pods of a fleet, and spec.replicas."""

    def __init__(self, spec: FleetSpec, accounts: Accounts, *, seed: int) -> None:
        self.spec = spec
        self.accounts = accounts
        self.seed = seed
        self.random = Random(f"run {seed}")
        self.heap: list[tuple[float, int, Happening, Any]] = []
        self.numbers = count()
        self.made = 0
        self.pods: list[Pod] = []
        self.ready: list[Pod] = []
        self.replicas = spec.first_replicas
        self.active = 0
        """Requests between gateway and their answer's end."""

    @abstractmethod
    def _serve(self, now: float, pod: Pod) -> None:
        """What follows when a pod becomes ready."""

    @abstractmethod
    def _phase(self) -> float:
        """When a new pod's pages are taken: this time, and each scrape period before and after."""

    def _at(self, time: float, do: Happening, what: Any = None) -> None:
        heappush(self.heap, (time, next(self.numbers), do, what))

    def _lose(self, requests: int) -> None:
        """Requests that fail: their columns stay as they are."""
        self.active -= requests

    def _lose_all(self, now: float, pod: Pod) -> None:
        """The engine is gone, and its requests with it; those that are still at its door find it closed."""
        lost = pod.crash(now)
        self.accounts.lost(lost, self.spec.api_server.latency_seconds)
        self._lose(len(lost))

    def _create(self, now: float) -> Pod:
        self.made += 1
        spec = self.spec
        pod = Pod(f"pod-{self.made}", now, limits=spec.limits, step_time=spec.step_time, phase=self._phase())
        self.pods.append(pod)
        return pod

    def _start(self, now: float, pod: Pod) -> None:
        random = Random(f"start {self.seed} {pod.name} {pod.starts}")
        self._at(now + self.spec.startup.draw(random), self._ready, (pod, pod.started_at))

    def _ready(self, now: float, what: tuple[Pod, float]) -> None:
        pod, started_at = what
        if pod.gone or pod.started_at != started_at:
            return
        pod.ready_at = now
        self._note(now)
        if self.spec.failures.crashes_per_hour:
            life = self.random.expovariate(self.spec.failures.crashes_per_hour / 3600)
            self._at(now + life, self._crash, (pod, started_at))
        if not pod.terminating:
            self.ready.append(pod)
        self._serve(now, pod)

    def _scale(self, now: float, wanted: int) -> None:
        """Set spec.replicas; the Deployment follows at once."""
        self.replicas = wanted
        alive = [pod for pod in self.pods if not pod.terminating]
        for _ in range(wanted - len(alive)):
            self._start(now, self._create(now))
        if len(alive) > wanted:
            alive.sort(key=self._stays_longer)
            for pod in alive[: len(alive) - wanted]:
                self._delete(now, pod)
        self._note(now)

    def _stays_longer(self, pod: Pod) -> tuple[float, ...]:
        if pod.ready_at is None:
            return (0.0, -pod.created_at)
        if self.spec.victim == "newest":
            return (1.0, -pod.ready_at)
        return (1.0, pod.in_flight, pod.replica.kv_tokens, -pod.ready_at)

    def _delete(self, now: float, pod: Pod) -> None:
        pod.terminating = True
        pod.withdrawn_at = now + self.spec.withdrawal_seconds
        if pod in self.ready:
            self.ready.remove(pod)
        if pod.ready_at is None:
            self._remove(now, pod)
        elif pod.in_flight:
            self._at(pod.withdrawn_at + self.spec.drain_seconds, self._cut_off, pod)
        else:
            self._leave(now, pod)

    def _leave(self, now: float, pod: Pod) -> None:
        """A pod that goes has nothing left to do."""
        self._at(max(now, pod.withdrawn_at) + self.spec.exit_seconds, self._remove, pod)

    def _cut_off(self, now: float, pod: Pod) -> None:
        """The drain is over: what is left fails."""
        if not pod.gone and pod.in_flight:
            self._lose_all(now, pod)
            self._remove(now, pod)

    def _remove(self, now: float, pod: Pod) -> None:
        if pod.gone:
            return
        pod.gone = True
        self.pods.remove(pod)
        self._note(now)

    def _crash_busiest(self, now: float, _: None) -> None:
        if self.ready:
            pod = max(self.ready, key=in_flight)
            self._crash(now, (pod, pod.started_at))

    def _crash(self, now: float, what: tuple[Pod, float]) -> None:
        pod, started_at = what
        if pod.gone or pod.started_at != started_at:
            return
        self._lose_all(now, pod)
        if pod in self.ready:
            self.ready.remove(pod)
        if pod.terminating:
            self._remove(now, pod)
            return
        self._note(now)
        self._start(now, pod)

    def _note(self, now: float) -> None:
        """Write down the fleet of this moment, once."""
        changes = self.accounts.changes
        if changes and changes[-1].at == now:
            changes.pop()
        changes.append(Change(now, self.replicas, sum(pod.ready for pod in self.pods), len(self.pods)))
