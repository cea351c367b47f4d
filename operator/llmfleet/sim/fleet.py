"""A fleet of replicas in simulated time: gateway, router, pods that start, serve, drain and crash, and who scales them.

Second station of the simulator: trace -> fleet -> outcome. One heap holds everything that will happen; arrivals are
taken from the trace in order. `spec.py` says what the fleet is made of, `pod.py` what a pod does in between.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import ceil, floor, inf
from operator import attrgetter
from random import Random
from typing import Any

from llmfleet.sim.accounts import Accounts
from llmfleet.sim.outcome import Change, Outcome, Sample
from llmfleet.sim.pod import Pod
from llmfleet.sim.rule import Rule, View
from llmfleet.sim.sequence import Request
from llmfleet.sim.spec import NO_API_SERVER, ApiServer, Failures, FleetSpec, Router, Startup, Victim
from llmfleet.sim.trace import Trace

__all__ = ["NO_API_SERVER", "ApiServer", "Failures", "FleetSpec", "Router", "Startup", "Victim", "simulate"]

MOMENT = 1e-6
"""Seconds within which two times count as the same."""
_in_flight = attrgetter("in_flight")


def simulate(
    fleet: FleetSpec, trace: Trace, rule: Rule, *, seed: int = 1, progress: Callable[[float], None] | None = None
) -> Outcome:
    """Play a trace to a fleet that a rule scales; `progress` is told the simulated seconds with each sample.

    The rule decides, and pods are paid for, while the trace lasts; then the requests that are there are finished. The
    same arguments give the same outcome, and a pod's start takes as long under each rule.
    """
    return _Fleet(fleet, trace, rule, seed, progress).run()


class _Fleet:
    """One run."""

    def __init__(
        self, spec: FleetSpec, trace: Trace, rule: Rule, seed: int, progress: Callable[[float], None] | None
    ) -> None:
        self.spec = spec
        self.trace = trace
        self.rule = rule
        self.seed = seed
        self.progress = progress
        self.random = Random(f"run {seed}")
        self.accounts = Accounts(trace)
        self.heap: list[tuple[float, int, Callable[[float, Any], None], Any]] = []
        self.numbers = count()
        self.made = 0
        self.pods: list[Pod] = []
        self.ready: list[Pod] = []
        self.held: deque[int] = deque()  # requests at the gateway while no pod is ready
        self.replicas = spec.first_replicas
        self.arrived = 0
        self.active = 0
        self.first_decision = self.random.uniform(0, rule.period)

    def run(self) -> Outcome:
        """Play the trace to its end, and then until the last request is done."""
        self._begin()
        heap, arrive = self.heap, self._arrive
        for number, at in enumerate(self.trace.at):
            while heap and heap[0][0] < at:
                now, _, do, what = heappop(heap)
                do(now, what)
            arrive(at, number)
        now = self.trace.at[-1] if self.trace.at else 0.0
        while heap and (self.active or heap[0][0] <= self.trace.span):
            now, _, do, what = heappop(heap)
            do(now, what)
        return self.accounts.close(self.spec, max(now, self.trace.span))

    def _at(self, time: float, do: Callable[[float, Any], None], what: Any = None) -> None:
        heappush(self.heap, (time, next(self.numbers), do, what))

    def _begin(self) -> None:
        for _ in range(self.replicas):
            self._ready(0.0, (self._create(0.0), 0.0))
        self._note(0.0)
        self._at(self.first_decision, self._decide)
        self._at(0.0, self._sample)
        for time in self.spec.failures.crashes:
            self._at(time, self._crash_busiest)

    # Requests

    def _arrive(self, now: float, number: int) -> None:
        self.arrived += 1
        self.active += 1
        if self.ready:
            self._route(now, number)
            return
        self.held.append(number)
        self._at(now + self.spec.hold_seconds, self._give_up)
        if not self.replicas and self.spec.wake_seconds is not None:
            self._at(now + self.spec.wake_seconds, self._wake)

    def _route(self, now: float, number: int) -> None:
        """Choose a pod; among equals the one that waited longest."""
        ready = self.ready
        if len(ready) == 1:
            pod = ready[0]
        else:
            pod = min(ready, key=_in_flight) if self.spec.router == "least-requests" else ready[0]
            ready.remove(pod)
            ready.append(pod)
        pod.in_flight += 1
        if self.spec.api_server.serial_seconds:
            pod.door = max(pod.door, now) + self.spec.api_server.serial_seconds
            self._at(pod.door, self._through_door, (pod, pod.started_at, number))
        else:
            self._submit(now, pod, number)

    def _through_door(self, now: float, what: tuple[Pod, float, int]) -> None:
        pod, started_at, number = what
        if pod.gone or pod.started_at != started_at:
            self._lose(1)
        else:
            self._submit(now, pod, number)

    def _submit(self, now: float, pod: Pod, number: int) -> None:
        prompt, output = self.trace.prompt_tokens[number], self.trace.output_tokens[number]
        longest = self.spec.max_model_len
        if longest is not None:
            output = min(output, longest - prompt)
        try:
            changed = pod.submit(Request(str(number), prompt, output), now)
        except ValueError:  # the engine refuses what it could never hold
            pod.in_flight -= 1
            self._lose(1)
            return
        if changed:
            self._at(pod.end, self._conclude, pod)

    def _conclude(self, now: float, pod: Pod) -> None:
        """The end of a pod's run of steps, unless that end has moved since."""
        if pod.end != now:
            return
        finished = pod.conclude()
        if pod.end != inf:
            heappush(self.heap, (pod.end, next(self.numbers), self._conclude, pod))
        if finished:
            self.active -= len(finished)
            self.accounts.finished(finished, self.spec.api_server.latency_seconds)
            if pod.terminating and not pod.in_flight:
                self._leave(now, pod)

    def _lose(self, requests: int) -> None:
        """Requests that fail: their columns stay as they are."""
        self.active -= requests

    def _lose_all(self, now: float, pod: Pod) -> None:
        """The engine is gone, and its requests with it; those that are still at its door find it closed."""
        lost = pod.crash(now)
        self.accounts.lost(lost, self.spec.api_server.latency_seconds)
        self._lose(len(lost))

    def _give_up(self, now: float, _: None) -> None:
        """Fail what the gateway has held for too long."""
        while self.held and self.trace.at[self.held[0]] + self.spec.hold_seconds <= now + MOMENT:
            self.held.popleft()
            self._lose(1)

    def _wake(self, now: float, _: None) -> None:
        if self.held and not self.replicas:
            self._scale(now, 1)

    # Pods

    def _create(self, now: float) -> Pod:
        self.made += 1
        spec = self.spec
        lag: float | None = getattr(self.rule, "lag", None)
        phase = self.random.uniform(0, self.rule.scrape) if lag is None else self.first_decision - lag
        pod = Pod(f"pod-{self.made}", now, limits=spec.limits, step_time=spec.step_time, phase=phase)
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
        self._await_page(now, pod)
        if self.spec.failures.crashes_per_hour:
            life = self.random.expovariate(self.spec.failures.crashes_per_hour / 3600)
            self._at(now + life, self._crash, (pod, started_at))
        self._give_up(now, None)
        if pod.terminating:
            return
        self.ready.append(pod)
        while self.held:
            self._route(now, self.held.popleft())

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
            pod = max(self.ready, key=_in_flight)
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

    # Who looks

    def _await_page(self, now: float, pod: Pod) -> None:
        """Plan the pod's next page: the last one before a decision that it can reach; others nobody would see."""
        rule = self.rule
        following = pod.phase + (floor((now - pod.phase) / rule.scrape + MOMENT) + 1) * rule.scrape
        decision = max(0, ceil((following + rule.delay - self.first_decision) / rule.period - MOMENT))
        seen = self.first_decision + decision * rule.period - rule.delay
        time = pod.phase + floor((seen - pod.phase) / rule.scrape + MOMENT) * rule.scrape
        self._at(max(time, following), self._page, (pod, pod.started_at))

    def _page(self, now: float, what: tuple[Pod, float]) -> None:
        pod, started_at = what
        if pod.gone or pod.started_at != started_at or now > self.trace.span:
            return
        if not self.spec.failures.loses_page(now, self.random):
            pod.scrape(now)
        self._await_page(now, pod)

    def _decide(self, now: float, _: None) -> None:
        if now > self.trace.span:
            return
        seen = now - self.rule.delay + MOMENT
        view = View(
            now=now,
            replicas=self.replicas,
            pods=tuple(pod.view(seen) for pod in self.pods),
            active=self.active,
            arrived=self.arrived,
        )
        wanted = self.spec.bounded(self.rule.decide(view))
        if wanted != self.replicas:
            self._scale(now, wanted)
        self._at(now + self.rule.period, self._decide)

    def _sample(self, now: float, _: None) -> None:
        if now > self.trace.span:
            return
        usages, running, waiting = [], 0, len(self.held)
        for pod in self.pods:
            pod.catch_up(now)
            running += pod.replica.running
            waiting += pod.replica.waiting
            if pod.ready:
                usages.append(pod.replica.kv_usage)
        mean = sum(usages) / len(usages) if usages else 0.0
        self.accounts.samples.append(Sample(now, mean, max(usages, default=0.0), running, waiting))
        if self.progress:
            self.progress(now)
        self._at(now + self.spec.sample_seconds, self._sample)

    def _note(self, now: float) -> None:
        """Write down the fleet of this moment, once."""
        changes = self.accounts.changes
        if changes and changes[-1].at == now:
            changes.pop()
        changes.append(Change(now, self.replicas, sum(pod.ready for pod in self.pods), len(self.pods)))
