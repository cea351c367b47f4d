"""WVA's second analyser, the default from 0.9: demand and supply in tokens of KV cache.

Source: llm-d-workload-variant-autoscaler 0.9, internal/engines/analyzers/saturation_v2/analyzer.go (b28a4f6 and the
fork 2976e4e), pipeline/cost_aware_optimizer.go, engine args as parsed when none is set (8192 batched tokens, 256
sequences); a loop of 15 s.

demand    tokens in use + queue * mean prompt, summed over pods (what waits in llm-d's own scheduler, of which there is
          none here, counts with its output too)
capacity  of one pod: the smaller of 0.80 of its KV cache and k2, of which the median counts; k2 is the tokens in use
          while 5 or more wait, else the mean of the last ten of those for outputs of about that length, else what the
          engine's arguments let expect: N (I + O / 2) with N = min(8192 O / (I + O), 256), for prompts of I and
          outputs of O
up        ceil of what is missing / capacity, where demand / 0.85 exceeds the supply, starting replicas included
down      floor of what is spare / capacity, where the ready supply exceeds demand / 0.70; not below one

I and O are here the means of the fleet's last minute, from its counters.
"""

from collections import deque
from math import ceil
from statistics import fmean, median

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.pages import finished, generation_tokens, prompt_tokens
from llmfleet.sim.peers.rates import Rate
from llmfleet.sim.peers.wva import KV_THRESHOLD, QUEUE_THRESHOLD, Load, Wva
from llmfleet.sim.rule import View

INTERVAL = 15.0
"""Seconds."""
UP, DOWN = 0.85, 0.70
BATCHED_TOKENS, SEQUENCES = 8192, 256
_HISTORY = 10
_BUCKETS = (100, 500)


class WvaV2(Wva):
    """The saturation analyser on tokens."""

    def __init__(self, bounds: Bounds, up: float = UP) -> None:
        """`up` is scaleUpThreshold; scaleDownBoundary keeps its distance to it."""
        super().__init__(bounds, interval=INTERVAL)
        self._up, self._down = up, up * DOWN / UP
        self._observed: dict[int, deque[float]] = {}
        self._rates = Rate(prompt_tokens), Rate(generation_tokens), Rate(finished)
        self._prompt = self._output = 0.0

    def _wanted(self, view: View, loads: list[Load]) -> int:
        prompts, outputs, ends = (rate.total(view) for rate in self._rates)
        if ends:
            self._prompt, self._output = prompts / ends, outputs / ends
        sized = [(load, cache) for load in loads if (cache := load.pod.page and load.pod.page.kv_cache_tokens)]
        if not sized:
            return view.replicas if self._desired is None else self._desired
        demand = sum(load.kv * cache + load.queue * self._prompt for load, cache in sized)
        capacity = median(self._capacity(load, cache) for load, cache in sized)
        ready = min(view.replicas, sum(pod.ready for pod in view.pods))
        return view.replicas + change(
            missing=demand / self._up - view.replicas * capacity,
            spare=ready * capacity - demand / self._down,
            capacity=capacity,
            current=view.replicas,
        )

    def _capacity(self, load: Load, cache: int) -> float:
        used, bucket = load.kv * cache, sum(self._output >= edge for edge in _BUCKETS)
        observed = self._observed.setdefault(bucket, deque(maxlen=_HISTORY))
        most = KV_THRESHOLD * cache
        if load.queue >= QUEUE_THRESHOLD and used > 0:
            observed.append(used)
            return min(most, used)
        return min(most, fmean(observed) if observed else expected(self._prompt, self._output) or most)


def expected(prompt: float, output: float) -> float:
    """Tokens that an engine with its default arguments holds in a steady state; 0 where lengths are unknown."""
    if output <= 0:
        return 0.0
    return min(BATCHED_TOKENS * output / (prompt + output), SEQUENCES) * (prompt + output / 2)


def change(*, missing: float, spare: float, capacity: float, current: int) -> int:
    """Replicas more or less, for tokens that are missing or spare."""
    if missing > 0:
        return ceil(missing / capacity)
    return -min(int(spare // capacity), current - 1) if spare > 0 else 0
