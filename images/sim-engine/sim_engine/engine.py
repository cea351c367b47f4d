"""The replica in real time: one asyncio task that steps it and tells the waiting requests.

`server.py` submits tickets and awaits them; `llmfleet.sim.replica` decides what a step does. Simulated and real time
are the same clock. The engine runs ahead by at most one tick and then sleeps until its last step's end is real, so that
many short steps cost one wake-up; a token is visible when its step has ended, or up to a tick later.
"""

import asyncio
from dataclasses import dataclass, field

from llmfleet.sim.replica import Replica
from llmfleet.sim.sequence import Phase, Request, Sequence
from sim_engine.faults import Faults
from sim_engine.settings import EngineConfig
from sim_engine.stats import Book, record_finished, record_gauges, record_step

# More chunks than this a second are merged, as vLLM merges what a slow client has not read yet.
CHUNKS_PER_SECOND = 2000
# A machine that cannot keep up makes the engine slower instead of owing it time without end.
LARGEST_LAG_SECONDS = 0.5


class EngineDeadError(Exception):
    """The engine has crashed; every request in flight fails."""


class QueueFullError(Exception):
    """--max-num-queued-reqs or --max-num-queued-tokens is reached; the argument names which."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One request from submission to its last token. `visible` tokens may be shown to the client."""

    sequence: Sequence
    max_tokens: int
    stops: bool
    streaming: bool
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    visible: int = 0

    @property
    def done(self) -> bool:
        """Whether all tokens are there."""
        return self.sequence.phase is Phase.FINISHED

    @property
    def finish_reason(self) -> str:
        """`stop` for an answer that ended by itself, `length` for one that was cut."""
        return "stop" if self.stops else "length"


class Engine:
    """Steps a replica as long as there is work, nobody has stopped it and it has not crashed."""

    def __init__(self, config: EngineConfig, *, book: Book, faults: Faults, tick: float) -> None:
        self.replica = Replica(limits=config.limits, step_time=config.step_time)
        self.book = book
        self.faults = faults
        self.dead = False
        self.lag = 0.0
        self._config = config
        self._tick = tick
        self._tickets: dict[str, Ticket] = {}
        self._streaming: set[Ticket] = set()
        self._finished: list[Ticket] = []  # finished in steps whose end is not real yet
        self._preempted_at: dict[str, float] = {}
        self._work = asyncio.Event()
        self._time = asyncio.get_running_loop().time
        self._numbers = 0

    @property
    def in_flight(self) -> int:
        """Requests that have not finished."""
        return len(self._tickets)

    def submit(self, *, prompt_tokens: int, output_tokens: int, max_tokens: int, streaming: bool) -> Ticket:
        """Queue a request that will generate `output_tokens`.

        Raises:
            EngineDeadError: the engine has crashed.
            QueueFullError: a queue limit is reached.
        """
        if self.dead:
            raise EngineDeadError
        self._check_queue(prompt_tokens)
        self._numbers += 1
        request = Request(str(self._numbers), prompt_tokens, output_tokens)
        sequence = self.replica.submit(request, self._time())
        ticket = Ticket(sequence, max_tokens, stops=output_tokens < max_tokens, streaming=streaming)
        self._tickets[request.id] = ticket
        if streaming:
            self._streaming.add(ticket)
        self._work.set()
        return ticket

    def _check_queue(self, prompt_tokens: int) -> None:
        requests, tokens = self._config.max_queued_requests, self._config.max_queued_tokens
        reason = ""
        if requests is not None and self.replica.waiting >= requests:
            reason = "max_num_queued_reqs"
        elif tokens is not None and self.replica.waiting_tokens + prompt_tokens > tokens:
            reason = "max_num_queued_tokens"
        if reason:
            self.book.add("vllm:admission_rejections", 1, reason)
            raise QueueFullError(reason)

    async def progress(self, ticket: Ticket) -> int:
        """Wait for news of a request; the number of its tokens that may be shown.

        Raises:
            EngineDeadError: the engine has crashed.
        """
        await ticket.changed.wait()
        ticket.changed.clear()
        if self.dead and not ticket.done:
            raise EngineDeadError
        return ticket.visible

    def abort(self, ticket: Ticket) -> None:
        """Forget a request whose client is gone; nothing happens if it has finished."""
        self._forget(ticket)
        if not self.dead and self.replica.abort(ticket.sequence):
            self._preempted_at.pop(ticket.sequence.request.id, None)
            self.book.add("vllm:request_success", 1, "abort")
            self._work.set()

    def crash(self) -> None:
        """Die as an engine process does: nothing in flight gets another token."""
        self.dead = True
        for ticket in self._tickets.values():
            ticket.changed.set()
        self._work.set()

    def wake(self) -> None:
        """Look again whether there is something to do; called when a hang is taken back."""
        self._work.set()

    async def run(self) -> None:
        """Step until cancelled or crashed."""
        while not self.dead:
            self._work.clear()
            if self.replica.busy and not self.faults.hang:
                await self._run_busy()
            if not self.faults.hang and not self.dead:
                record_gauges(self.book, self.replica)
            if not self.replica.busy or self.faults.hang:
                await self._work.wait()

    async def _run_busy(self) -> None:
        """Step from now until idle, hung or dead."""
        clock = horizon = self._time()
        while self.replica.busy and not self.faults.hang and not self.dead:
            clock = self._step(clock)
            if clock < horizon and self.replica.busy:
                continue
            now = self._time()
            await asyncio.sleep(max(0.0, clock - now))
            self._publish()
            self.lag = max(0.0, now - clock)
            if self.lag > LARGEST_LAG_SECONDS:
                clock = now
            horizon = clock + max(self._tick, len(self._streaming) / CHUNKS_PER_SECOND)

    def _step(self, start: float) -> float:
        """One step that starts at `start`; the time of its end."""
        step = self.replica.step(start)
        end = start + step.duration
        for sequence in step.preempted:
            self._preempted_at[sequence.request.id] = start
        record_step(self.book, step, end=end, last_token=self._preempted_at)
        for sequence in step.finished:
            ticket = self._tickets[sequence.request.id]
            record_finished(self.book, sequence, reason=ticket.finish_reason, max_tokens=ticket.max_tokens)
            self._finished.append(ticket)
        record_gauges(self.book, self.replica)
        return end

    def _publish(self) -> None:
        """Show the new tokens of all requests that stream, and everything of those that have finished."""
        for ticket in [*self._streaming, *self._finished]:
            self._show(ticket)
        self._finished.clear()

    def _show(self, ticket: Ticket) -> None:
        generated = self.replica.generated(ticket.sequence)
        enough = generated - ticket.visible >= self._config.stream_interval or not ticket.visible
        if ticket.done or (generated > ticket.visible and enough):
            ticket.visible = generated
            ticket.changed.set()
        if ticket.done:
            self._forget(ticket)

    def _forget(self, ticket: Ticket) -> None:
        self._tickets.pop(ticket.sequence.request.id, None)
        self._streaming.discard(ticket)
