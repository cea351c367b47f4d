"""One vLLM replica as a discrete-event scheduler.

The rules are those of vLLM's V1 engine: running requests first, one token each; prompts in chunks of what is left of
`max_num_batched_tokens`; a waiting request is admitted while a sequence slot is free and its *whole* prompt would fit;
when a running request needs a block and none is free, the newest one loses its blocks and goes back to the head of the
queue, to be recomputed. No prefix is shared between requests.

Two ways lead to the same state: `step` makes one step and says what it did, `jump` makes many of them at once. Between
an arrival, an admission, a chunk of a prompt, an end and a block too few nothing happens but one token for each that
decodes (`lockstep.py`), so the simulator touches a replica only at those moments.
"""

from llmfleet.sim.engine_state import EngineState
from llmfleet.sim.sequence import Phase, Request, Sequence, StepResult
from llmfleet.sim.steptime import Pace


class Replica(EngineState):
    """The engine."""

    def submit(self, request: Request, now: float) -> Sequence:
        """Put a request at the end of the queue.

        Raises:
            ValueError: lengths are not positive, the id is in use, or the request could never fit.
        """
        if request.prompt_tokens < 1 or request.output_tokens < 1:
            raise ValueError(f"request {request.id!r} needs at least one prompt token and one output token")
        if request.id in self._waiting or request.id in self._decoding.members or self._is_partial(request.id):
            raise ValueError(f"request {request.id!r} is already in the engine")
        if not self.fits(prompt_tokens=request.prompt_tokens, output_tokens=request.output_tokens):
            raise ValueError(f"request {request.id!r} needs more KV cache than the engine has")
        sequence = Sequence(request, now)
        self._waiting[request.id] = sequence
        self.waiting_tokens += sequence.to_prefill
        return sequence

    def abort(self, sequence: Sequence) -> bool:
        """Take a request out, whatever it is doing; False if it had already left."""
        if sequence.phase is Phase.WAITING:
            del self._waiting[sequence.request.id]
            self.waiting_tokens -= sequence.to_prefill
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
        result = StepResult()
        budget = self._schedule_decodes(result)
        if self._partial and budget > 0:
            budget = self._continue_prompt(result, budget)
        if self._waiting and not result.preempted:
            self._admit(result, budget, now)
        tokens = result.decoded + result.prefill_tokens
        result.duration = self.step_time.seconds(tokens=tokens, context=result.context)
        self._conclude(result, now + result.duration)
        return result

    def equal_steps(self) -> int:
        """How many of the next steps do nothing but decode; an end, if any, comes with the last. 0: none."""
        decoding = self._decoding
        if self._partial or not decoding.members or (self._waiting and self._admissible()):
            return 0
        return decoding.affordable(decoding.steps_to_end(), self._free)

    def pace(self) -> Pace:
        """How long those steps take."""
        return self.step_time.pace(tokens=len(self._decoding.members), context=self._decoding.context)

    def jump(self, steps: int, end: float) -> list[Sequence]:
        """Make `steps` of the equal steps, of which the last ends at `end`; the requests that ended."""
        decoding, counters = self._decoding, self.counters
        tokens = steps * len(decoding.members)
        self._free -= decoding.opened(steps)
        decoding.context += tokens
        counters.steps += steps
        counters.generation_tokens += tokens
        counters.step_tokens += tokens
        finished = decoding.advance(steps)
        for sequence in finished:
            self._finish(sequence, end)
        return finished

    def _admissible(self) -> bool:
        """Whether the head of the queue would be admitted if nothing but decodes went before; else an end must come."""
        running, budget = len(self._decoding.members), self.limits.max_num_batched_tokens
        if running >= min(self.limits.max_num_seqs, budget):
            return False
        return self._has_room(next(iter(self._waiting.values())), budget - running, self._free - self._decoding.opening)

    def _has_room(self, sequence: Sequence, budget: int, free: int) -> bool:
        whole = self.limits.whole_prompt_must_fit
        return self._blocks(sequence.to_prefill if whole else min(budget, sequence.to_prefill)) <= free

    def _schedule_decodes(self, result: StepResult) -> int:
        """One token for every decoding request, with a block for those whose token opens one; the budget left."""
        decoding = self._decoding
        if decoding.opening <= self._free:
            self._free -= decoding.opening
        else:
            self._open_under_pressure(result)
        decoded = len(decoding.members)
        decoding.context += decoded
        result.decoded = decoded
        result.context = decoding.context
        return self.limits.max_num_batched_tokens - decoded

    def _open_under_pressure(self, result: StepResult) -> None:
        """Hand out the last blocks oldest first; where none is left the newest gives up all of its own."""
        decoding = self._decoding
        slot = decoding.clock % self._block_size
        for sequence in [item for item in decoding.members.values() if decoding.slot(item) == slot]:
            while not self._free and sequence.phase is Phase.DECODE:
                self._preempt(self._partial or next(reversed(decoding.members.values())), result)
            if sequence.phase is Phase.DECODE:
                self._free -= 1

    def _preempt(self, victim: Sequence, result: StepResult) -> None:
        self._release(victim)
        victim.phase = Phase.WAITING
        victim.preemptions += 1
        self._waiting[victim.request.id] = victim
        self._waiting.move_to_end(victim.request.id, last=False)
        self.waiting_tokens += victim.to_prefill
        result.preempted.append(victim)
        self.counters.preemptions += 1

    def _release(self, sequence: Sequence) -> None:
        """Take a running sequence off the running list and give its blocks back."""
        self._free += self.held_blocks(sequence)
        if sequence.phase is Phase.DECODE:
            self._decoding.leave(sequence)
        else:
            self._partial = None
        sequence.computed = 0

    def _continue_prompt(self, result: StepResult, budget: int) -> int:
        """The next chunk of the prompt that is under way; the budget left."""
        sequence = self._partial
        if sequence is None:
            return budget
        chunk = self._compute_chunk(sequence, result, budget)
        if not chunk:
            self._preempt(sequence, result)
        return budget - chunk

    def _admit(self, result: StepResult, budget: int, now: float) -> None:
        """Take requests from the queue while there is budget, a slot, and room for the prompt."""
        slots = self.limits.max_num_seqs - self.running - len(result.prefilled)
        while self._waiting and budget > 0 and slots > 0:
            sequence = next(iter(self._waiting.values()))
            if not self._has_room(sequence, budget, self._free):
                break
            del self._waiting[sequence.request.id]
            self.waiting_tokens -= sequence.to_prefill
            sequence.phase = Phase.PREFILL
            if sequence.scheduled is None:
                sequence.scheduled = now
            self._partial = sequence
            result.admitted.append(sequence)
            slots -= 1
            budget -= self._compute_chunk(sequence, result, budget)

    def _compute_chunk(self, sequence: Sequence, result: StepResult, budget: int) -> int:
        """Compute as much of the prompt as the budget allows; 0 when its blocks cannot be had."""
        before, prompt = sequence.computed, sequence.to_prefill
        chunk = min(budget, prompt - before)
        needed = self._blocks(before + chunk) - self._blocks(before)
        if needed > self._free:
            return 0
        self._free -= needed
        sequence.computed = before + chunk
        result.prefill_tokens += chunk
        result.context += sequence.computed
        if sequence.computed == prompt:
            result.prefilled.append(sequence)
            self._partial = None
        return chunk

    def _conclude(self, result: StepResult, end: float) -> None:
        """Let the step's tokens exist: the clock moves, complete prompts start to decode, complete requests end."""
        decoding, counters = self._decoding, self.counters
        decoding.clock += 1
        prompts = 0
        for sequence in result.prefilled:
            if sequence.first_token is None:
                sequence.first_token = end
                prompts += sequence.request.prompt_tokens
            decoding.join(sequence)
        generated = result.decoded + len(result.prefilled)
        if generated:
            counters.steps += 1
            counters.prompt_tokens += prompts
            counters.generation_tokens += generated
            counters.step_tokens += prompts + generated
        result.finished = decoding.advance(0)
        for sequence in result.finished:
            self._finish(sequence, end)

    def _finish(self, sequence: Sequence, end: float) -> None:
        self._release(sequence)
        sequence.phase = Phase.FINISHED
        sequence.finished = end
        self.counters.finished += 1
