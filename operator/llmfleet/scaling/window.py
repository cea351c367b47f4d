"""What was seen of one object in the last day, as sums: the ground of recommendations. Holds no clock.

signals -> `Window.add` (each decision) -> `Window.seen` -> recommendations. Sums over four hours each are kept instead
of samples, so that a day of an object takes 6 kB whatever its replicas, and the oldest four hours are forgotten at
once. All times are seconds; shares are of the seconds times replicas that gave fresh metrics.
"""

from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.ports import EngineFacts
from llmfleet.scaling.signals import PodSignals, Quality

BLOCK_SECONDS = 4 * 3600.0
BLOCKS = 6
LONGEST_STEP = 60.0
"""Longest time for which one look may stand: a gap in watching is not counted as what was seen at its end."""
BINS = 20
"""Steps of KV usage that are told apart, 5 % each."""
LOW_KV = 0.5
"""KV usage below which memory is not what a queue waits for. vLLM admits a request once its whole prompt fits, so a
queue at a usage of 0.7 may wait for memory; one at less than a half does not, unless prompts fill half the cache."""
FULL_BUDGET = 0.9
"""Share of maxNumBatchedTokens that a mean step computes when it is the budget that binds."""
DEFAULT_SEQS = frozenset({128, 256, 1024})
"""vLLM's own choices of max_num_seqs by platform and GPU (0.32: CPU, GPUs, GPUs with 70 GiB or more)."""


@dataclass(slots=True)
class Seen:
    """Sums over a time."""

    began: float = 0.0
    seconds: float = 0.0
    """Time for which the object was watched, no replica started or ended, and all gave fresh metrics."""
    replica_seconds: float = 0.0
    kv: "array[float]" = field(default_factory=lambda: array("f", bytes(4 * BINS)))
    """Seconds at each step of KV usage."""
    working: float = 0.0
    """Seconds with requests in execution."""
    waiting: float = 0.0
    """Seconds with a queue that stands."""
    full: float = 0.0
    """Of those, at low KV usage and with as many sequences as maxNumSeqs allows."""
    full_seqs: float = 0.0
    """Sequences then, times seconds."""
    full_kv: float = 0.0
    """KV usage then, times seconds."""
    budgeted: float = 0.0
    """Of those that wait, at low KV usage and with steps that compute as many tokens as maxNumBatchedTokens allows."""
    preempting: float = 0.0
    """Seconds in which preemptions went on."""
    preempting_seqs: float = 0.0
    """Sequences in execution then, times seconds."""
    above_max: float = 0.0
    """Seconds in which more than maxReplicas were wanted."""
    most_wanted: float = 0.0
    """The most that were wanted."""
    at_min: float = 0.0
    """Seconds in which minReplicas or more were wanted."""
    most_below_min: float = 0.0
    """The most that were wanted while fewer than minReplicas were."""

    def plus(self, other: "Seen") -> "Seen":
        """Both together."""
        result = Seen(min(self.began, other.began))
        result.kv = array("f", map(sum, zip(self.kv, other.kv, strict=True)))
        for name in _SUMS:
            setattr(result, name, getattr(self, name) + getattr(other, name))
        for name in _PEAKS:
            setattr(result, name, max(getattr(self, name), getattr(other, name)))
        return result

    def share(self, seconds: float) -> float:
        """Part of the replicas' time."""
        return seconds / self.replica_seconds if self.replica_seconds else 0.0

    def kv_below(self, share: float) -> float:
        """The usage below which KV caches were for this share of the time, in steps of 5 %."""
        wanted, so_far = share * sum(self.kv), 0.0
        for step, seconds in enumerate(self.kv):
            so_far += seconds
            if so_far >= wanted:
                return (step + 1) / BINS
        return 1.0


_PEAKS = ("most_wanted", "most_below_min")
_SUMS = tuple(one.name for one in fields(Seen) if one.name not in {"began", "kv", *_PEAKS})


@dataclass(slots=True)
class Window:
    """The last day of one object, for one spec: what was seen under another one says nothing of this one."""

    _facts: EngineFacts | None = None
    _config: ScalingConfig | None = None
    _blocks: deque[Seen] = field(default_factory=lambda: deque(maxlen=BLOCKS))
    _last: float | None = None

    def add(self, fleet: Fleet, facts: EngineFacts, config: ScalingConfig | None, *, wanted: int, now: float) -> bool:
        """Take in one look at the fleet. `wanted` is what the load asks for, whatever the bounds.

        Returns:
            Whether the spec is another one than before, so that nothing is known any more.
        """
        is_other = self._last is not None and (facts, config) != (self._facts, self._config)
        if is_other:
            self._last = None
            self._blocks.clear()
        self._facts, self._config = facts, config
        step = min(now - self._last, LONGEST_STEP) if self._last is not None else 0.0
        self._last = now
        if step and fleet.serving and not fleet.unknown and _is_settled(fleet):
            self._note(fleet, facts, config, wanted=wanted, now=now, step=step)
        return is_other

    def _note(
        self,
        fleet: Fleet,
        facts: EngineFacts,
        config: ScalingConfig | None,
        *,
        wanted: int,
        now: float,
        step: float,
    ) -> None:
        if not self._blocks or now - self._blocks[-1].began >= BLOCK_SECONDS:
            self._blocks.append(Seen(now))
        block = self._blocks[-1]
        for replica in fleet.serving:
            _add_replica(block, replica.signals, facts, step)
        _add_wish(block, config, wanted, step)

    @property
    def seen(self) -> Seen:
        """All of it."""
        return _total(self._blocks)


def _is_settled(fleet: Fleet) -> bool:
    """No replica starts or ends: in a rollout the numbers are of two specs. One without room may wait for ever."""
    return all(one.unschedulable or (one.ready and not one.terminating) for one in fleet.replicas)


def _total(blocks: Iterable[Seen]) -> Seen:
    first, *rest = (*blocks, Seen(float("inf")))
    for block in rest:
        first = first.plus(block)
    return first


def _add_replica(block: Seen, one: PodSignals, facts: EngineFacts, step: float) -> None:
    if one.quality is not Quality.FRESH or one.kv is None or one.running is None:
        return
    block.replica_seconds += step
    block.kv[min(BINS - 1, int(one.kv * BINS))] += step
    block.working += step if one.running else 0.0
    if one.preempting:
        block.preempting += step
        block.preempting_seqs += step * one.running
    if (one.queue_least or 0.0) < 1:
        return
    block.waiting += step
    if one.kv >= LOW_KV:
        return
    if one.running == facts.max_num_seqs or (facts.max_num_seqs is None and one.running in DEFAULT_SEQS):
        block.full += step
        block.full_seqs += step * one.running
        block.full_kv += step * one.kv
    elif facts.max_num_batched_tokens and (one.tokens_per_step or 0.0) >= FULL_BUDGET * facts.max_num_batched_tokens:
        block.budgeted += step


def _add_wish(block: Seen, config: ScalingConfig | None, wanted: int, step: float) -> None:
    block.seconds += step
    if config is None:
        return
    block.most_wanted = max(block.most_wanted, wanted)
    block.above_max += step if wanted > config.max_replicas else 0.0
    if wanted >= config.min_replicas:
        block.at_min += step
    else:
        block.most_below_min = max(block.most_below_min, wanted)
