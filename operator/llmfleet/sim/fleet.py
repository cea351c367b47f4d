"""A fleet of replicas in simulated time: gateway, router, pods that start, serve, drain and crash, and who scales them.

Second station of the simulator: trace -> fleet -> outcome. One heap holds everything that will happen; arrivals are
taken from the trace in order. `spec.py` says what the fleet is made of, `pod.py` what a pod does in between.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil, floor, inf

from llmfleet.sim.accounts import Accounts
from llmfleet.sim.outcome import Outcome, Sample
from llmfleet.sim.pod import Pod
from llmfleet.sim.pods import Pods, in_flight
from llmfleet.sim.rule import Rule, View
from llmfleet.sim.sequence import Request
from llmfleet.sim.spec import NO_API_SERVER, ApiServer, Failures, FleetSpec, Router, Startup, Victim
from llmfleet.sim.trace import Trace

__all__ = ["NO_API_SERVER", "ApiServer", "Failures", "FleetSpec", "Router", "Startup", "Victim", "simulate"]

MOMENT = 1e-6
"""Seconds within which two times count as the same."""


def simulate(
    fleet: FleetSpec, trace: Trace, rule: Rule, *, seed: int = 1, progress: Callable[[float], None] | None = None
) -> Outcome:
    """Play a trace to a fleet that a rule scales; `progress` is told the simulated seconds with each sample.

    The rule decides, and pods are paid for, while the trace lasts; then the requests that are there are finished. The
    same arguments give the same outcome, and a pod's start takes as long under each rule.
    """
    return _Fleet(fleet, trace, rule, seed, progress).run()


class _Fleet(Pods):
    """One run."""

    def __init__(
        self, spec: FleetSpec, trace: Trace, rule: Rule, seed: int, progress: Callable[[float], None] | None
    ) -> None:
        super().__init__(spec, Accounts(trace), seed=seed)
        self.trace = trace
        self.rule = rule
        self.progress = progress
        self.held: deque[int] = deque()  # requests at the gateway while no pod is ready
        self.arrived = 0
        self.timing = rule.timing
        self.first_decision = self.random.uniform(0, self.timing.period)

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

    def _begin(self) -> None:
        for _ in range(self.replicas):
            self._ready(0.0, (self._create(0.0), 0.0))
        self._note(0.0)
        self._at(self.first_decision, self._decide)
        self._at(0.0, self._sample)
        for time in self.spec.failures.crashes:
            self._at(time, self._crash_busiest)

    def _phase(self) -> float:
        if self.timing.lag is None:
            return self.random.uniform(0, self.timing.scrape)
        return self.first_decision - self.timing.lag

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
            pod = min(ready, key=in_flight) if self.spec.router == "least-requests" else ready[0]
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

    def _serve(self, now: float, pod: Pod) -> None:
        """A pod is ready: it gets what the gateway holds."""
        self._await_page(now, pod)
        self._give_up(now, None)
        while self.held and not pod.terminating:
            self._route(now, self.held.popleft())

    def _give_up(self, now: float, _: None) -> None:
        """Fail what the gateway has held for too long."""
        while self.held and self.trace.at[self.held[0]] + self.spec.hold_seconds <= now + MOMENT:
            self.held.popleft()
            self._lose(1)

    def _wake(self, now: float, _: None) -> None:
        if self.held and not self.replicas:
            self._scale(now, 1)

    # Who looks

    def _await_page(self, now: float, pod: Pod) -> None:
        """Plan the pod's next page: the last one before a decision that it can reach; others nobody would see."""
        timing = self.timing
        following = pod.phase + (floor((now - pod.phase) / timing.scrape + MOMENT) + 1) * timing.scrape
        decision = max(0, ceil((following + timing.delay - self.first_decision) / timing.period - MOMENT))
        seen = self.first_decision + decision * timing.period - timing.delay
        time = pod.phase + floor((seen - pod.phase) / timing.scrape + MOMENT) * timing.scrape
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
        seen = now - self.timing.delay + MOMENT
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
        self._at(now + self.timing.period, self._decide)

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
