"""The HorizontalPodAutoscalers that people write for vLLM: on KV cache, and on KV cache and queue.

Sources: 0.7 and 0.5 are the targets of NVIDIA's NIM guides and its NIM operator's sample (docs; sample HPA of
NVIDIA/k8s-nim-operator: gpu_cache_usage_perc 0.5); KV 0.7 with a queue of 2 is the HPA that llm-d's WVA compares itself
with (llm-d-workload-variant-autoscaler, docs/benchmark.md, and PR 1094, which states WVA's own thresholds so). All are
averages over pods through prometheus-adapter, without `behavior`. The arithmetic is in hpa.py.
"""

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.hpa import Hpa, PodsMetric
from llmfleet.sim.peers.pages import kv_usage, waiting

QUEUE = 2.0
"""Waiting requests a pod."""


def on_kv(bounds: Bounds, target: float) -> Hpa:
    """ceil(n * mean KV usage / target)."""
    return Hpa(bounds, [PodsMetric(kv_usage, target)])


def on_kv_and_queue(bounds: Bounds, target: float) -> Hpa:
    """The larger of KV usage over its target and waiting requests over two a pod."""
    return Hpa(bounds, [PodsMetric(kv_usage, target), PodsMetric(waiting, QUEUE)])
