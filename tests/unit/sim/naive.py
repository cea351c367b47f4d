"""The scheduler's rules written the slow way: every request by itself, every block counted, nothing kept in step.

The replica must do exactly the same; the two share no code.
"""

from dataclasses import dataclass, field


@dataclass
class NaiveRequest:
    id: str
    prompt: int
    output: int
    made: int = 0
    computed: int = 0
    blocks: int = 0

    @property
    def known(self) -> int:
        return self.prompt + self.made


@dataclass
class NaiveEngine:
    blocks: int
    block_size: int
    max_seqs: int
    budget: int
    whole: bool = True
    waiting: list[NaiveRequest] = field(default_factory=list)
    running: list[NaiveRequest] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.blocks - 1 - sum(request.blocks for request in self.running)

    def step(self) -> tuple[int, list[str], list[str], list[str]]:
        """Tokens scheduled; ids admitted, finished, preempted."""
        budget, preempted, scheduled = self.budget, [], []
        index = 0
        while index < len(self.running) and budget > 0:
            request = self.running[index]
            tokens = min(budget, request.known - request.computed)
            while self.missing(request, tokens) > self.free:
                victim = self.running.pop()
                victim.computed = victim.blocks = 0
                self.waiting.insert(0, victim)
                preempted.append(victim.id)
                if victim is request:
                    break
            else:
                budget -= self.give(request, tokens)
                scheduled.append(tokens)
            index += 1
        admitted = [] if preempted else self.admit(budget, scheduled)
        return sum(scheduled), admitted, self.emit(), preempted

    def missing(self, request: NaiveRequest, tokens: int) -> int:
        return -(-(request.computed + tokens) // self.block_size) - request.blocks

    def give(self, request: NaiveRequest, tokens: int) -> int:
        request.blocks += self.missing(request, tokens)
        request.computed += tokens
        return tokens

    def admit(self, budget: int, scheduled: list[int]) -> list[str]:
        admitted = []
        while self.waiting and budget > 0 and len(self.running) < self.max_seqs:
            request = self.waiting[0]
            if self.missing(request, request.known if self.whole else min(budget, request.known)) > self.free:
                break
            self.running.append(self.waiting.pop(0))
            tokens = self.give(request, min(budget, request.known))
            budget -= tokens
            scheduled.append(tokens)
            admitted.append(request.id)
        return admitted

    def emit(self) -> list[str]:
        finished = []
        for request in list(self.running):
            if request.computed == request.known:
                request.made += 1
                if request.made == request.output:
                    self.running.remove(request)
                    finished.append(request.id)
        return finished
