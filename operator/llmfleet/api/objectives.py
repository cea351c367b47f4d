"""What an objective means in numbers: targets for one replica, the same for each way of scaling. Pure.

The presets are starting points; `spec.scaling.targets` overrides them. Where the numbers come from:

- KV usage at the edge of a latency objective lies at 0.3-0.5 for chat and 0.4-0.65 for long answers (simulated, step
  times fitted to vLLM runs on an H200); chat on a GPU with much memory has the lowest edge, 0.3, which is Latency's
  target. 0.5 lies between. 0.8 is what llm-d's router and its autoscaler call saturated; above 0.9 preemptions begin.
- Waiting requests: public scalers begin at 3-5 for each replica (GKE's guide, the vLLM production stack, llm-d), which
  is Balanced. Latency lets one wait; Throughput takes a batch of 16, since a queue keeps its batches full.
- The time to drain a standing queue is of the order of a replica's start (58-132 s measured on an H200 with vLLM 0.26):
  a replica that comes later than the queue's end was not needed. `targets.ttftSeconds` changes it in proportion.
- Utilization: a simulated replica holds a TTFT of 2 s at 99 % up to 0.9 of its time (coding on an H200), 0.6 (coding on
  an A100), or until its cache is full; several with a router that knows the idlest hold it longer. What long prompts
  leave of these targets is `scaling/capacity.py`'s to work out, from the time to first token.
"""

from dataclasses import dataclass

from llmfleet.api.v1alpha1 import Objective, ScalingSpec

LEAST_DRAIN, MOST_DRAIN = 15.0, 600.0
"""Bounds of the time to drain a queue, seconds, whatever the objective."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What one replica should carry."""

    kv_usage: float
    """KV-cache usage, 0..1."""
    waiting: float
    """Requests that may wait."""
    drain_seconds: float
    """Time in which a longer queue should be gone."""
    utilization: float
    """Share of its time, 0..1."""
    ttft: float
    """Seconds to the first token that 99 of 100 requests should keep."""

    @classmethod
    def of(cls, spec: ScalingSpec) -> "Targets":
        """The preset of the objective, with the object's own targets in place of the preset's."""
        preset, own = PRESETS[spec.objective], spec.targets
        kv_percent, waiting = own.kv_cache_usage_percent, own.waiting_per_replica
        utilization = own.utilization_percent
        ttft = preset.ttft if own.ttft_seconds is None else own.ttft_seconds
        return cls(
            kv_usage=preset.kv_usage if kv_percent is None else kv_percent / 100,
            waiting=preset.waiting if waiting is None else waiting,
            drain_seconds=min(MOST_DRAIN, max(LEAST_DRAIN, preset.drain_seconds * ttft / preset.ttft)),
            utilization=preset.utilization if utilization is None else utilization / 100,
            ttft=ttft,
        )


PRESETS: dict[Objective, Targets] = {
    Objective.LATENCY: Targets(kv_usage=0.30, waiting=1, drain_seconds=30, utilization=0.70, ttft=1.0),
    Objective.BALANCED: Targets(kv_usage=0.50, waiting=4, drain_seconds=60, utilization=0.80, ttft=2.0),
    Objective.THROUGHPUT: Targets(kv_usage=0.80, waiting=16, drain_seconds=180, utilization=0.88, ttft=10.0),
}
