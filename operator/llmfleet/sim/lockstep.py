"""Requests that decode: all of them move together, one token a step.

Part of `replica.py`. Because they move together, what a step or many steps do to them is arithmetic: which blocks are
opened, how much context is read and who ends when follow from a clock that counts steps, and nobody is touched before
he joins, ends or gives way. So many equal steps cost as much as one.
"""

from collections import defaultdict
from heapq import heappop, heappush

from llmfleet.sim.sequence import Phase, Sequence


class Lockstep:
    """The decoding requests of one replica, in order of admission."""

    __slots__ = ("_block_size", "_ending", "_ends", "_opening", "clock", "context", "members")

    def __init__(self, block_size: int) -> None:
        self.members: dict[str, Sequence] = {}
        self.clock = 0
        """Steps so far."""
        self.context = 0
        """KV tokens of the members."""
        self._block_size = block_size
        self._opening = [0] * block_size  # members whose next token opens a block, by clock % block_size
        self._ending: defaultdict[int, list[Sequence]] = defaultdict(list)  # by the clock that completes them
        self._ends: list[int] = []  # the keys of _ending, as a heap

    def join(self, sequence: Sequence) -> None:
        """Begin to decode a sequence that has one more token than it had."""
        clock, request = self.clock, sequence.request
        self.context += sequence.computed
        sequence.offset = sequence.done + 1 - clock
        sequence.phase = Phase.DECODE
        self.members[request.id] = sequence
        self._opening[self.slot(sequence)] += 1
        end = request.output_tokens - sequence.offset
        if end not in self._ending:
            heappush(self._ends, end)
        self._ending[end].append(sequence)

    def leave(self, sequence: Sequence) -> None:
        """Take a sequence out; what it has generated becomes its `done`."""
        sequence.done = self.clock + sequence.offset
        self.context -= sequence.to_prefill - 1
        self._opening[self.slot(sequence)] -= 1
        del self.members[sequence.request.id]

    def slot(self, sequence: Sequence) -> int:
        """The value of clock % block_size at which a member's next token opens a block."""
        return (1 - sequence.request.prompt_tokens - sequence.offset) % self._block_size

    @property
    def opening(self) -> int:
        """Blocks that the next step opens."""
        return self._opening[self.clock % self._block_size]

    def opened(self, steps: int) -> int:
        """Blocks that the next `steps` steps open: each member opens one in every block_size steps."""
        cycles, rest = divmod(steps, self._block_size)
        start = self.clock % self._block_size
        beyond = max(0, start + rest - self._block_size)
        return cycles * len(self.members) + sum(self._opening[start : start + rest]) + sum(self._opening[:beyond])

    def affordable(self, steps: int, free: int) -> int:
        """How many of the next `steps` steps can be made with so many free blocks."""
        if (steps // self._block_size + 1) * len(self.members) <= free:
            return steps
        done = free // len(self.members) * self._block_size
        free %= len(self.members)
        while done < steps:
            free -= self._opening[(self.clock + done) % self._block_size]
            if free < 0:
                break
            done += 1
        return min(done, steps)

    def steps_to_end(self) -> int:
        """Steps after which a member may be complete; fewer where one that would have been has left."""
        return self._ends[0] - self.clock

    def advance(self, steps: int) -> list[Sequence]:
        """Let the clock move, at most to the first end; the members that are complete now."""
        self.clock += steps
        if not self._ends or self._ends[0] > self.clock:
            return []
        heappop(self._ends)
        return [item for item in self._ending.pop(self.clock) if self._ends_now(item)]

    def _ends_now(self, sequence: Sequence) -> bool:
        """False for a sequence that was aborted or preempted after its end had been noted."""
        return sequence.phase is Phase.DECODE and self.clock + sequence.offset == sequence.request.output_tokens
