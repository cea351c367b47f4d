"""What an engine holds: its queue, the requests that run, its KV-cache blocks; and what can be asked of it.

Part of `replica.py`, which changes it.
"""

from collections import OrderedDict
from collections.abc import Iterator

from llmfleet.sim.lockstep import Lockstep
from llmfleet.sim.sequence import Counters, Limits, Phase, Sequence
from llmfleet.sim.steptime import StepTime


class EngineState:
    """A queue, a running list and a pool of KV-cache blocks."""

    def __init__(self, *, limits: Limits, step_time: StepTime) -> None:
        self.limits = limits
        self.step_time = step_time
        self.counters = Counters()
        self.waiting_tokens = 0
        """Tokens the queued requests will have to prefill; counted along, as a queue may hold a day's requests."""
        self._block_size = limits.block_size
        self._waiting: OrderedDict[str, Sequence] = OrderedDict()
        self._decoding = Lockstep(limits.block_size)
        self._partial: Sequence | None = None  # at most one prompt is half computed, and it is the newest
        self._free = limits.blocks - 1

    @property
    def waiting(self) -> int:
        """Requests in the queue, preempted ones included."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Requests that hold blocks."""
        return len(self._decoding.members) + (self._partial is not None)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._waiting or self._decoding.members or self._partial)

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
        return self._decoding.context + (self._partial.computed if self._partial else 0)

    def fits(self, *, prompt_tokens: int, output_tokens: int) -> bool:
        """Whether a request of these lengths could run alone in the cache."""
        return self._blocks(prompt_tokens + output_tokens - 1) < self.limits.blocks

    def generated(self, sequence: Sequence) -> int:
        """Tokens the sequence has generated so far."""
        return self._decoding.clock + sequence.offset if sequence.phase is Phase.DECODE else sequence.done

    def held_blocks(self, sequence: Sequence) -> int:
        """Blocks the sequence holds."""
        if sequence.phase is Phase.DECODE:
            return self._blocks(sequence.request.prompt_tokens + self.generated(sequence) - 1)
        return self._blocks(sequence.computed)

    def sequences(self) -> Iterator[Sequence]:
        """All that run, oldest first, then all that wait, in queue order."""
        yield from self._decoding.members.values()
        if self._partial:
            yield self._partial
        yield from self._waiting.values()

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self._block_size)

    def _is_partial(self, request_id: str) -> bool:
        return self._partial is not None and self._partial.request.id == request_id
