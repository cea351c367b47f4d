"""What a number of replicas can carry, by the step-time model and what comes in. Pure.

Between load, learning and the work term: Speed + Demand -> Capacity -> replicas. Two things bound a replica:

- its time: the work of the requests that arrive may take a target share of it, less where long prompts would keep
  others waiting for longer than the objective's time to first token;
- its places: KV cache and batch slots. Running requests are arrivals times residence, and residence is tokens times
  step time, which itself grows with the batch. So cache usage does not grow in proportion to load, and what fewer
  replicas would hold has to be worked out, not scaled.
"""

from dataclasses import dataclass
from math import ceil, sqrt

from llmfleet.api.objectives import Targets
from llmfleet.engine.speed import Speed, Start
from llmfleet.scaling.load import Demand

QUEUEING = 7.0
"""p99 of the time to first token, times the share of time that is free, over the time to compute a mean prompt. 3 to 5
in simulated coding traffic on three GPUs at all loads, less for chat; with a margin for bursts. Of one replica: a
request that finds one of several free waits less."""
LEAST_SHARE = 0.4
"""Of the target utilization, below which the time to first token never lowers it: replicas do not make one prompt's
computation shorter."""
SLOTS = 0.9
"""Share of the batch slots that may be used."""
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """One replica, and the load that all of them are to carry."""

    speed: Speed
    demand: Demand
    target: float
    """Share of a replica's time that may be used."""
    ttft: float
    """Seconds to the first token that 99 of 100 requests should keep."""
    places: float | None = None
    """Requests that may be in execution at a time, by KV cache and batch slots; None where nobody knows."""
    batch_tokens: int | None = None

    @classmethod
    def of(cls, targets: Targets, demand: Demand, speed: Speed, *, start: Start, kv_tokens: float | None) -> "Capacity":
        """What a replica of that speed may carry of such requests; `kv_tokens` is what its KV cache holds."""
        return cls(
            speed=speed,
            demand=demand,
            target=targets.utilization,
            ttft=targets.ttft,
            places=_places(targets, kv_tokens=kv_tokens, sequences=start.sequences, context=demand.context),
            batch_tokens=start.batch_tokens,
        )

    @property
    def shares(self) -> tuple[float, float, float]:
        """Parts of the coefficients in a request's work."""
        tokens = self.speed.token * (self.demand.prompt + self.demand.output)
        return 0.0, tokens / self.request_seconds, 1 - tokens / self.request_seconds

    @property
    def request_seconds(self) -> float:
        """Work of one request."""
        demand, speed = self.demand, self.speed
        return speed.token * (demand.prompt + demand.output) + speed.context * demand.output * demand.context

    @property
    def work(self) -> float:
        """Seconds of work per second that come in; what is served now, if that is more."""
        served = self.speed.token * self.demand.tokens + self.speed.context * self.demand.reads
        return max(served, self.demand.arrivals * self.request_seconds)

    @property
    def full_rate(self) -> float:
        """Requests per second that one replica serves when it has no time left."""
        return 1 / self.request_seconds

    def utilization(self, replicas: int) -> float:
        """Share of their time that so many replicas may use: below the target where prompts would queue too long."""
        queueing = QUEUEING * self.speed.token * self.demand.prompt / sqrt(max(1, replicas))
        return max(LEAST_SHARE * self.target, min(self.target, 1 - queueing / self.ttft))

    def needed(self, stretch: float = 1.0, *, most: int) -> int:
        """The fewest replicas that carry the load times `stretch`, or `most`."""
        least = max(1, ceil(self.work * stretch / self.target - _EPSILON))
        if least >= most or self.carried(least, stretch):
            return min(least, most)
        below, above = least, min(most, 2 * least)
        while above < most and not self.carried(above, stretch):
            below, above = above, min(most, 2 * above)
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (below, middle) if self.carried(middle, stretch) else (middle, above)
        return above

    def carried(self, replicas: int, stretch: float = 1.0) -> bool:
        """Whether that many replicas carry the load times `stretch`, in time and in places."""
        work = self.work * stretch / replicas if replicas else float("inf")
        if work > self.utilization(replicas) + _EPSILON:
            return False
        return self.places is None or work <= 0 or self._keeps_up(work * self.full_rate, self.places)

    def _keeps_up(self, arrivals: float, running: float) -> bool:
        """Whether with so many running the steps are short enough to let as many end as arrive.

        Step time over batch size falls as the batch grows, so if a full batch keeps up, the batch stays below it.
        """
        demand, speed = self.demand, self.speed
        allowed = running / (arrivals * demand.output)
        chunks = max(1.0, demand.prompt / self.batch_tokens) if self.batch_tokens else 1.0
        mixed = min(1.0, arrivals * chunks * allowed)
        prompts = demand.prompt * arrivals * allowed / mixed
        taken = mixed * speed.computing(running + prompts) + (1 - mixed) * speed.computing(running)
        return taken + speed.context * running * demand.context <= allowed


def _places(targets: Targets, *, kv_tokens: float | None, sequences: int | None, context: float) -> float | None:
    """Requests that may be in execution, at least one; None where neither bound is known."""
    by_cache = None if kv_tokens is None or context <= 0 else targets.kv_usage * kv_tokens / context
    by_slots = None if sequences is None else SLOTS * sequences
    known = [bound for bound in (by_cache, by_slots) if bound is not None]
    return max(1.0, min(known)) if known else None
