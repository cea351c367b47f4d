"""All of the peers by name: how to make each, with its defaults as shipped or with its knob turned.

`make bench` tunes each knob on a training slice; `llmfleet simulate --rules` takes the names. A factory makes a new
rule for each run, because rules remember.
"""

from collections.abc import Mapping
from types import MappingProxyType

from llmfleet.sim.peers import (
    aibrix,
    dynamo,
    kaito,
    keda,
    knative,
    kthena,
    kubeai,
    kubernetes,
    static,
    wva,
    wva_v1,
    wva_v2,
)
from llmfleet.sim.peers.peer import Peer

_KV_GRID = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_REQUESTS_GRID = (1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 100.0, 150.0, 200.0)
_QUEUE_GRID = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0)
_HPA = "Kubernetes 1.34"
_KEDA = "KEDA 2.21 on Kubernetes 1.34"

_ALL = (
    Peer(
        name="hpa-kv-70",
        make=kubernetes.on_kv,
        description="HPA, mean KV usage at 0.7",
        source=f"{_HPA}; target of NVIDIA NIM guides",
        knob="averageValue of vllm:kv_cache_usage_perc",
        default=0.7,
        grid=_KV_GRID,
    ),
    Peer(
        name="hpa-kv-50",
        make=kubernetes.on_kv,
        description="HPA, mean KV usage at 0.5",
        source=f"{_HPA}; target of NVIDIA NIM operator's sample",
        knob="averageValue of vllm:kv_cache_usage_perc",
        default=0.5,
        grid=_KV_GRID,
    ),
    Peer(
        name="hpa-kv-queue",
        make=kubernetes.on_kv_and_queue,
        description="HPA, the larger of mean KV usage at 0.7 and waiting requests at 2",
        source=f"{_HPA}; thresholds of llm-d WVA's comparison",
        knob="averageValue of vllm:kv_cache_usage_perc",
        default=0.7,
        grid=_KV_GRID,
    ),
    Peer(
        name="keda-waiting",
        make=keda.on_waiting,
        description="KEDA, sum of waiting requests at 5",
        source=f"{_KEDA}; vLLM production-stack, tutorial 20",
        knob="threshold of vllm:num_requests_waiting",
        default=5.0,
        grid=_QUEUE_GRID,
    ),
    Peer(
        name="keda-running-2",
        make=keda.on_running,
        description="KEDA, sum of running requests at 2",
        source=f"{_KEDA}; KServe's documentation",
        knob="threshold of vllm:num_requests_running",
        default=2.0,
        grid=_REQUESTS_GRID,
    ),
    Peer(
        name="keda-running-32",
        make=keda.on_running,
        description="KEDA, sum of running requests at 32",
        source=f"{_KEDA}; the usual target of KubeAI's models",
        knob="threshold of vllm:num_requests_running",
        default=32.0,
        grid=_REQUESTS_GRID,
    ),
    Peer(
        name="keda-article",
        make=keda.article,
        description="KEDA as most articles show it: avg(KV usage) at 0.8, waiting per replica at 10",
        source=f"{_KEDA}; AverageValue of an average",
        knob="threshold of avg(vllm:kv_cache_usage_perc)",
        default=0.8,
        grid=_KV_GRID,
    ),
    Peer(
        name="production-stack",
        make=keda.production_stack,
        description="vLLM production-stack operator: running at 5, both token rates at 100/s a pod, a pod a minute",
        source="vllm-project/production-stack, operator of August 2026",
        knob="factor on its three thresholds",
        default=1.0,
        grid=(1.0, 5.0, 20.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 400.0),
    ),
    Peer(
        name="kubeai",
        make=kubeai.KubeAi,
        description="KubeAI: mean of active requests over 10 min at 100",
        source="KubeAI 0.22.1",
        knob="targetRequests",
        default=kubeai.TARGET_REQUESTS,
        grid=_REQUESTS_GRID,
    ),
    Peer(
        name="aibrix-kpa-coded",
        make=aibrix.KpaAsCoded,
        description="AIBrix KPA as coded, KV usage at 0.5",
        source="AIBrix e3e10f9",
        knob="targetValue of gpu_cache_usage_perc",
        default=aibrix.KV_TARGET,
        grid=_KV_GRID,
    ),
    Peer(
        name="aibrix-kpa-meant",
        make=aibrix.KpaAsMeant,
        description="AIBrix KPA as meant, KV usage at 0.5",
        source="AIBrix e3e10f9, its three slips mended",
        knob="targetValue of gpu_cache_usage_perc",
        default=aibrix.KV_TARGET,
        grid=_KV_GRID,
    ),
    Peer(
        name="aibrix-apa",
        make=aibrix.Apa,
        description="AIBrix APA, KV usage at 0.5",
        source="AIBrix e3e10f9",
        knob="targetValue of gpu_cache_usage_perc",
        default=aibrix.KV_TARGET,
        grid=_KV_GRID,
    ),
    Peer(
        name="knative",
        make=knative.Knative,
        description="Knative KPA, concurrency at 70 % of 100, stable and panic windows",
        source="Knative Serving 0.51",
        knob="target concurrency, of which 70 % are used",
        default=knative.CONCURRENCY,
        grid=_REQUESTS_GRID,
    ),
    Peer(
        name="wva-v1",
        make=wva_v1.WvaV1,
        description="llm-d WVA until 0.8: one more or less by spare KV usage and queue, every minute",
        source="llm-d WVA b08b1c7 on Kubernetes 1.34",
        knob="kvCacheThreshold",
        default=wva.KV_THRESHOLD,
        grid=_KV_GRID,
    ),
    Peer(
        name="wva-v2",
        make=wva_v2.WvaV2,
        description="llm-d WVA from 0.9: tokens in use and queued over capacity, up at 0.85, down at 0.70",
        source="llm-d WVA 0.9 on Kubernetes 1.34",
        knob="scaleUpThreshold",
        default=wva_v2.UP,
        grid=(0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0),
    ),
    Peer(
        name="dynamo",
        make=dynamo.Dynamo,
        description="NVIDIA Dynamo planner, load rule: one more above 1.0 of the KV cache, one less below 0.6",
        source="ai-dynamo/dynamo 936d819",
        knob="utilization above which one is added",
        default=dynamo.UP,
        grid=(0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0),
    ),
    Peer(
        name="kaito",
        make=kaito.Kaito,
        description="KAITO: one more above 5 waiting a pod, one less below 1, one in five minutes",
        source="keda-kaito-scaler a73abe6 on KEDA and Kubernetes 1.34",
        knob="upthreshold of vllm:num_requests_waiting",
        default=kaito.UP,
        grid=_QUEUE_GRID,
    ),
    Peer(
        name="kthena",
        make=kthena.Kthena,
        description="Kthena: sum of waiting requests at 10",
        source="volcano-sh/kthena of August 2026",
        knob="targetValue of num_requests_waiting",
        default=kthena.WAITING,
        grid=(*_QUEUE_GRID[:-2], 10.0, 15.0, 20.0),
    ),
    Peer(
        name="static-peak",
        make=static.Static,
        description="no autoscaler, enough for the peak",
        source="none",
        knob="replicas",
        default=lambda bounds: bounds.most,
    ),
    Peer(
        name="static-mean",
        make=static.Static,
        description="no autoscaler, enough for the mean",
        source="none",
        knob="replicas",
        default=lambda bounds: (bounds.least + bounds.most) / 2,
    ),
)

PEERS: Mapping[str, Peer] = MappingProxyType({peer.name: peer for peer in _ALL})
"""By name, in the order of tables."""
