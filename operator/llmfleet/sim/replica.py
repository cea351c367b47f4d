"""One vLLM replica as a discrete-event scheduler.

The rules are those of vLLM's V1 engine: running requests first, one token each; prompts in chunks of what is left of
`max_num_batched_tokens`; a waiting request is admitted while a sequence slot is free and its *whole* prompt would fit;
when a running request needs a block and none is free, the newest one loses its blocks and goes back to the head of the
queue, to be recomputed. No prefix is shared between requests.

Requests that are decoding all move in lockstep, one token a step. So a step touches only those that join, need a block
under pressure, or finish: its cost does not grow with the batch, which is what makes simulated time cheap.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from llmfleet.sim.sequence import Limits, Phase, Request, Sequence, StepResult
from llmfleet.sim.steptime import StepTime


@dataclass(slots=True)
class _Batch:
    """What a step has scheduled so far."""

    budget: int
    decoded: int = 0
    chunks: int = 0
    context: int = 0
    admitted: list[Sequence] = field(default_factory=list)
    prefilled: list[Sequence] = field(default_factory=list)
    preempted: list[Sequence] = field(default_factory=list)


class Replica:
    """The engine: a queue, a running list and a pool of KV-cache blocks."""

    def __init__(self, *, limits: Limits, step_time: StepTime) -> None:
        self.limits = limits
        self.step_time = step_time
        self._waiting: OrderedDict[str, Sequence] = OrderedDict()
        self._decoding: dict[str, Sequence] = {}  # insertion order is order of admission
        self._partial: Sequence | None = None  # at most one prompt is half computed, and it is the newest
        self._free = limits.blocks - 1
        self._clock = 0  # steps so far
        self._context = 0  # KV tokens of the decoding requests
        self._opening = [
            0
        ] * limits.block_size  # decoding requests whose next token opens a block, by clock % block_size
        self._ending: defaultdict[int, list[Sequence]] = defaultdict(list)  # by the clock that completes them

    @property
    def waiting(self) -> int:
        """Requests in the queue, preempted ones included."""
        return len(self._waiting)

    @property
    def waiting_tokens(self) -> int:
        """Tokens the queued requests will have to prefill."""
        return sum(sequence.to_prefill for sequence in self._waiting.values())

    @property
    def running(self) -> int:
        """Requests that hold blocks."""
        return len(self._decoding) + (self._partial is not None)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._waiting or self._decoding or self._partial)

    @property
    def free_blocks(self) -> int:
        """Blocks no request holds."""
        return self._free

    @property
    def kv_usage(self) -> float:
        """Share of the usable blocks that requests hold, 0 to 1: vLLM's `kv_cache_usage_perc`."""
        return 1 - self._free / (self.limits.blocks - 1)

    @property
    def kv_tokens(self) -> int:
        """Tokens whose KV is in the cache."""
        return self._context + (self._partial.computed if self._partial else 0)

    def fits(self, *, prompt_tokens: int, output_tokens: int) -> bool:
        """Whether a request of these lengths could run alone in the cache."""
        return self._blocks(prompt_tokens + output_tokens - 1) < self.limits.blocks

    def generated(self, sequence: Sequence) -> int:
        """Tokens the sequence has generated so far."""
        return self._clock + sequence.offset if sequence.phase is Phase.DECODE else sequence.done

    def held_blocks(self, sequence: Sequence) -> int:
        """Blocks the sequence holds."""
        if sequence.phase is Phase.DECODE:
            return self._blocks(sequence.request.prompt_tokens + self.generated(sequence) - 1)
        return self._blocks(sequence.computed)

    def sequences(self) -> Iterator[Sequence]:
        """All that run, oldest first, then all that wait, in queue order."""
        yield from self._decoding.values()
        if self._partial:
            yield self._partial
        yield from self._waiting.values()

    def submit(self, request: Request, now: float) -> Sequence:
        """Put a request at the end of the queue.

        Raises:
            ValueError: lengths are not positive, the id is in use, or the request could never fit.
        """
        if request.prompt_tokens < 1 or request.output_tokens < 1:
            raise ValueError(f"request {request.id!r} needs at least one prompt token and one output token")
        if request.id in self._waiting or request.id in self._decoding or self._is_partial(request.id):
            raise ValueError(f"request {request.id!r} is already in the engine")
        if not self.fits(prompt_tokens=request.prompt_tokens, output_tokens=request.output_tokens):
            raise ValueError(f"request {request.id!r} needs more KV cache than the engine has")
        sequence = Sequence(request, now)
        self._waiting[request.id] = sequence
        return sequence

    def abort(self, sequence: Sequence) -> bool:
        """Take a request out, whatever it is doing; False if it had already left."""
        if sequence.phase is Phase.WAITING:
            del self._waiting[sequence.request.id]
        elif sequence.phase in {Phase.PREFILL, Phase.DECODE}:
            self._release(sequence)
        else:
            return False
        sequence.phase = Phase.ABORTED
        return True

    def step(self, now: float) -> StepResult:
        """Run one step that starts at `now` seconds.

        Raises:
            RuntimeError: there is nothing to do.
        """
        if not self.busy:
            raise RuntimeError("an idle engine has no step")
        batch = _Batch(self.limits.max_num_batched_tokens)
        self._schedule_decodes(batch)
        self._schedule_partial(batch)
        if not batch.preempted:
            self._admit(batch, now)
        duration = self.step_time.seconds(tokens=batch.decoded + batch.chunks, context=batch.context)
        finished = self._advance(batch, now + duration)
        return StepResult(
            duration=duration,
            prefill_tokens=batch.chunks,
            decoded=batch.decoded,
            context=batch.context,
            admitted=tuple(batch.admitted),
            prefilled=tuple(batch.prefilled),
            finished=tuple(finished),
            preempted=tuple(batch.preempted),
        )

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.limits.block_size)

    def _is_partial(self, request_id: str) -> bool:
        return self._partial is not None and self._partial.request.id == request_id

    def _slot(self, sequence: Sequence) -> int:
        """The value of clock % block_size at which a decoding sequence's next token opens a block."""
        return (1 - sequence.request.prompt_tokens - sequence.offset) % self.limits.block_size

    def _schedule_decodes(self, batch: _Batch) -> None:
        """One token for every decoding request, with a block for those whose token opens one."""
        slot = self._clock % self.limits.block_size
        if self._opening[slot] <= self._free:
            self._free -= self._opening[slot]
        else:
            self._open_under_pressure(slot, batch)
        batch.decoded = len(self._decoding)
        batch.budget -= batch.decoded
        self._context += batch.decoded
        batch.context += self._context

    def _open_under_pressure(self, slot: int, batch: _Batch) -> None:
        """Hand out the last blocks oldest first; where none is left the newest gives up all of its own."""
        for sequence in [item for item in self._decoding.values() if self._slot(item) == slot]:
            while not self._free and sequence.phase is Phase.DECODE:
                self._preempt(self._partial or next(reversed(self._decoding.values())), batch)
            if sequence.phase is Phase.DECODE:
                self._free -= 1

    def _preempt(self, victim: Sequence, batch: _Batch) -> None:
        self._release(victim)
        victim.phase = Phase.WAITING
        victim.preemptions += 1
        self._waiting[victim.request.id] = victim
        self._waiting.move_to_end(victim.request.id, last=False)
        batch.preempted.append(victim)

    def _release(self, sequence: Sequence) -> None:
        """Take a running sequence off the running list and give its blocks back."""
        self._free += self.held_blocks(sequence)
        if sequence.phase is Phase.DECODE:
            sequence.done = self.generated(sequence)
            self._context -= sequence.to_prefill - 1
            self._opening[self._slot(sequence)] -= 1
            del self._decoding[sequence.request.id]
        else:
            self._partial = None
        sequence.computed = 0

    def _schedule_partial(self, batch: _Batch) -> None:
        """The next chunk of the prompt that is under way."""
        if self._partial and batch.budget > 0 and not self._compute_chunk(self._partial, batch):
            self._preempt(self._partial, batch)

    def _admit(self, batch: _Batch, now: float) -> None:
        """Take requests from the queue while there is budget, a slot, and room for the prompt."""
        slots = self.limits.max_num_seqs - self.running - len(batch.prefilled)
        while self._waiting and batch.budget > 0 and slots > len(batch.admitted):
            sequence = next(iter(self._waiting.values()))
            whole = self.limits.whole_prompt_must_fit
            if self._blocks(sequence.to_prefill if whole else min(batch.budget, sequence.to_prefill)) > self._free:
                break
            del self._waiting[sequence.request.id]
            sequence.phase = Phase.PREFILL
            if sequence.scheduled is None:
                sequence.scheduled = now
            self._partial = sequence
            batch.admitted.append(sequence)
            self._compute_chunk(sequence, batch)

    def _compute_chunk(self, sequence: Sequence, batch: _Batch) -> bool:
        """Compute as much of the prompt as the budget allows; False when its blocks cannot be had."""
        chunk = min(batch.budget, sequence.to_prefill - sequence.computed)
        needed = self._blocks(sequence.computed + chunk) - self._blocks(sequence.computed)
        if needed > self._free:
            return False
        self._free -= needed
        sequence.computed += chunk
        batch.budget -= chunk
        batch.chunks += chunk
        batch.context += sequence.computed
        if sequence.computed == sequence.to_prefill:
            batch.prefilled.append(sequence)
            self._partial = None
        return True

    def _advance(self, batch: _Batch, end: float) -> list[Sequence]:
        """Let the step's tokens exist: the clock moves, complete prompts start to decode, complete requests end."""
        self._clock += 1
        for sequence in batch.prefilled:
            self._start_decoding(sequence, end)
        finished = [item for item in self._ending.pop(self._clock, ()) if self._ends_now(item)]
        for sequence in finished:
            self._release(sequence)
            sequence.phase = Phase.FINISHED
            sequence.finished = end
        return finished

    def _start_decoding(self, sequence: Sequence, end: float) -> None:
        if sequence.first_token is None:
            sequence.first_token = end
        self._context += sequence.computed
        sequence.offset = sequence.done + 1 - self._clock
        sequence.phase = Phase.DECODE
        self._decoding[sequence.request.id] = sequence
        self._opening[self._slot(sequence)] += 1
        self._ending[sequence.request.output_tokens - sequence.offset].append(sequence)

    def _ends_now(self, sequence: Sequence) -> bool:
        """False for a sequence that was aborted or preempted after its end had been noted."""
        return sequence.phase is Phase.DECODE and self.generated(sequence) == sequence.request.output_tokens
