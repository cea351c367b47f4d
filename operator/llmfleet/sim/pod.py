"""A pod of the simulated fleet: a replica that is touched only when something happens to it.

Between `fleet.py`, which keeps time, and `replica.py`. A pod is always in one run of steps: either one step, whose
result is known and comes at its end, or several equal ones, which an arrival may cut short. Looking at a pod between
two ends makes the equal steps that are over, no more.
"""

from collections import deque
from math import inf

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.sim.replica import Replica
from llmfleet.sim.rule import PodView
from llmfleet.sim.sequence import Limits, Request, Sequence
from llmfleet.sim.steptime import Pace, StepTime

EPOCH = 1_700_000_000.0
"""Unix time of a run's first second, for `process_start_time_seconds`."""


class Page:
    """One page of metrics on its way to the rule."""

    __slots__ = ("at", "context_tokens", "metrics", "waiting_tokens")

    def __init__(self, at: float, replica: Replica, started_at: float) -> None:
        counters, limits = replica.counters, replica.limits
        self.at = at
        self.waiting_tokens = replica.waiting_tokens
        self.context_tokens = replica.kv_tokens
        self.metrics = EngineMetrics(
            kv_usage=replica.kv_usage,
            running=replica.running,
            waiting=replica.waiting,
            waiting_for_capacity=replica.waiting,
            preemptions=counters.preemptions,
            prompt_tokens=counters.prompt_tokens,
            generation_tokens=counters.generation_tokens,
            prefix_cache_hits=0,
            steps=counters.steps,
            step_tokens=counters.step_tokens,
            finished=counters.finished,
            gpu_blocks=limits.blocks,
            block_size=limits.block_size,
            kv_size_tokens=limits.blocks * limits.block_size,
            kv_cache_dtype="auto",
            prefix_caching=True,
            process_start=EPOCH + started_at,
        )


class Pod:
    """One replica with its life, its run of steps and its pages."""

    __slots__ = (
        "_limits",
        "_pace",
        "_result",
        "_start",
        "_step_time",
        "_steps",
        "created_at",
        "door",
        "end",
        "gone",
        "in_flight",
        "name",
        "page",
        "pages",
        "phase",
        "ready_at",
        "replica",
        "served",
        "started_at",
        "starts",
        "terminating",
        "withdrawn_at",
    )

    def __init__(self, name: str, now: float, *, limits: Limits, step_time: StepTime, phase: float) -> None:
        self.name = name
        self.created_at = now
        self.started_at = now
        self.starts = 1
        self.ready_at: float | None = None
        self.terminating = False
        self.withdrawn_at = inf
        """From when on no proxy sends it anything, once it goes."""
        self.gone = False
        self.replica = Replica(limits=limits, step_time=step_time)
        self.served: dict[str, Sequence] = {}
        self.in_flight = 0
        """Requests sent to it that have not ended."""
        self.door = now
        """When its API server has taken in all of them."""
        self.phase = phase
        """When the pod's pages are taken, within the interval between two."""
        self.page: Page | None = None
        self.pages: deque[Page] = deque()
        self.end = inf
        """When the present run of steps ends."""
        self._limits = limits
        self._step_time = step_time
        self._result: list[Sequence] = []
        self._start = 0.0
        self._steps = 0
        self._pace = Pace(1.0, 0.0)

    @property
    def ready(self) -> bool:
        """Whether it takes new requests."""
        return self.ready_at is not None and not self.terminating

    def submit(self, request: Request, now: float) -> bool:
        """Queue a request; whether `end` has changed."""
        replica = self.replica
        queued = replica.waiting
        self.served[request.id] = replica.submit(request, now)
        if self.end == inf:
            self._start = self.end = now
            self._steps = 0
            self._result = []
            return True
        if self._steps < 2 or queued:  # behind one that cannot be admitted, nothing changes  # noqa: PLR2004
            return False
        return self._cut(now)

    def _cut(self, now: float) -> bool:
        """Let the run end with the step that is under way."""
        steps = self._pace.steps_within(now - self._start) + 1
        if steps >= self._steps:
            return False
        self._steps = steps
        self.end = self._start + self._pace.seconds(steps)
        return True

    def conclude(self) -> list[Sequence]:
        """End the present run and begin the next; the requests that ended."""
        now, replica = self.end, self.replica
        finished = replica.jump(self._steps, now) if self._steps else self._result
        for sequence in finished:
            del self.served[sequence.request.id]
        self.in_flight -= len(finished)
        self._begin(now)
        return finished

    def _begin(self, now: float) -> None:
        replica = self.replica
        self._start = now
        self._steps = steps = replica.equal_steps()
        if steps:
            self._pace = pace = replica.pace()
            self.end = now + pace.seconds(steps)
        elif replica.busy:
            result = replica.step(now)
            self._result = result.finished
            self.end = now + result.duration
        else:
            self.end = inf

    def catch_up(self, now: float) -> None:
        """Make the steps of the present run that are over."""
        if self._steps > 1:
            steps = min(self._pace.steps_within(now - self._start), self._steps - 1)
            if steps:
                self.replica.jump(steps, now)
                self._start += self._pace.seconds(steps)
                self._steps -= steps
                self._pace = self.replica.pace()

    def scrape(self, now: float) -> None:
        """Write a page of metrics and send it off."""
        self.catch_up(now)
        self.pages.append(Page(now, self.replica, self.started_at))

    def view(self, seen: float) -> PodView:
        """What a rule sees that gets pages of `seen` seconds and before."""
        while self.pages and self.pages[0].at <= seen:
            self.page = self.pages.popleft()
        page = self.page
        return PodView(
            name=self.name,
            created_at=self.created_at,
            ready_at=self.ready_at,
            terminating=self.terminating,
            page=page.metrics if page else None,
            page_at=page.at if page else None,
            waiting_tokens=page.waiting_tokens if page else 0.0,
            context_tokens=page.context_tokens if page else 0.0,
        )

    def crash(self, now: float) -> list[Sequence]:
        """Lose the engine and all its requests; the container starts again."""
        lost = list(self.served.values())
        self.served.clear()
        self.replica = Replica(limits=self._limits, step_time=self._step_time)
        self.in_flight, self.end, self._steps, self._result = 0, inf, 0, []
        self.ready_at, self.started_at, self.door = None, now, now
        self.starts += 1
        self.page = None
        self.pages.clear()
        return lost
