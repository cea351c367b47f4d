"""What goes into a replica and what comes out of a step; `replica.py` is the machine between."""

from dataclasses import dataclass, field
from enum import Enum


class Phase(Enum):
    """Where a request is; a preempted one waits again."""

    WAITING = "waiting"
    PREFILL = "prefill"
    DECODE = "decode"
    FINISHED = "finished"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Request:
    """A request and the number of tokens it will generate, which only the caller knows."""

    id: str
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The engine's bounds.

    `blocks` counts the null block, which holds nothing. `whole_prompt_must_fit` is vLLM's admission rule since 0.19;
    before, the blocks of a prompt's first chunk were enough.
    """

    blocks: int
    block_size: int = 16
    max_num_seqs: int = 1024
    max_num_batched_tokens: int = 8192
    whole_prompt_must_fit: bool = True

    def __post_init__(self) -> None:
        if min(self.blocks - 1, self.block_size, self.max_num_seqs) < 1:
            raise ValueError(f"an engine needs a usable block, a token a block and a sequence, got {self}")
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError(
                f"max_num_batched_tokens ({self.max_num_batched_tokens}) must be greater than or equal to "
                f"max_num_seqs ({self.max_num_seqs})"
            )


@dataclass(slots=True, eq=False)
class Sequence:
    """A request on its way through the engine.

    Times are the caller's seconds: `scheduled` is the start of its first step, `first_token` and `finished` ends of
    steps. `done`, `computed` and `offset` belong to the replica: tokens generated before the present decode run, prompt
    tokens whose KV is computed (prefill only), and tokens generated less the replica's decode clock (decode only).
    """

    request: Request
    arrived: float
    phase: Phase = Phase.WAITING
    scheduled: float | None = None
    first_token: float | None = None
    finished: float | None = None
    preemptions: int = 0
    done: int = 0
    computed: int = 0
    offset: int = 0

    @property
    def to_prefill(self) -> int:
        """Tokens a prefill must compute: the prompt, and after a preemption also what had been generated."""
        return self.request.prompt_tokens + self.done


@dataclass(slots=True, eq=False)
class StepResult:
    """What one step did. Its tokens exist `duration` seconds after its start.

    Attributes:
        duration: seconds.
        prefill_tokens: prompt tokens computed, those of recomputation included.
        decoded: running requests that got one more token.
        context: tokens of KV cache read.
        admitted: requests taken from the queue.
        prefilled: requests whose prompt is now complete; each got one token too.
        finished: requests that got their last token.
        preempted: requests that lost their blocks.
    """

    duration: float = 0.0
    prefill_tokens: int = 0
    decoded: int = 0
    context: int = 0
    admitted: list[Sequence] = field(default_factory=list)
    prefilled: list[Sequence] = field(default_factory=list)
    finished: list[Sequence] = field(default_factory=list)
    preempted: list[Sequence] = field(default_factory=list)

    @property
    def generated(self) -> int:
        """Output tokens of this step."""
        return self.decoded + len(self.prefilled)


@dataclass(slots=True)
class Counters:
    """What an engine counts since its start, as on vLLM's page of metrics."""

    preemptions: int = 0
    prompt_tokens: int = 0
    """Of requests whose first token is there."""
    generation_tokens: int = 0
    steps: int = 0
    """Steps that gave output."""
    step_tokens: int = 0
    """Output tokens of those steps, and the prompts that they completed."""
    finished: int = 0
