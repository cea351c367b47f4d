"""The HorizontalPodAutoscaler of the mode HPA: KV-cache usage and queue of the object's pods, on its own /scale.

The two metrics are those of prometheus-adapter's rules in the chart. They are Pods metrics, whose rule counts a pod
without a metric as idle on the way up and as just loaded enough on the way down, and which leave the number alone when
a metric cannot be had. Both are needed: KV usage is blind to load that waits for prefill, and the queue is empty for
minutes while long answers fill the cache.
"""

from typing import Any

from llmfleet.api.objectives import Targets
from llmfleet.api.v1alpha1 import GROUP, KIND, VERSION, LLMDeployment, ScalingSpec
from llmfleet.manifests import pace
from llmfleet.manifests.names import STARTUP_SECONDS, metadata

KV_USAGE_METRIC = "gpu_cache_usage_perc"
"""From 0 to 1."""
WAITING_METRIC = "vllm_requests_waiting"


def render(deployment: LLMDeployment, scaling: ScalingSpec, *, startup: int) -> dict[str, Any]:
    """The HorizontalPodAutoscaler of the object.

    Args:
        deployment: the object.
        scaling: its spec.scaling.
        startup: seconds of a start, as `pace.sized`.
    """
    targets = Targets.of(scaling)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(deployment) | {"annotations": {STARTUP_SECONDS: str(startup)}},
        "spec": {
            "scaleTargetRef": {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "name": deployment.metadata.name},
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [
                _average(KV_USAGE_METRIC, f"{round(1000 * targets.kv_usage)}m"),
                _average(WAITING_METRIC, _quantity(round(targets.waiting))),
            ],
            "behavior": pace.behavior(scaling, startup=startup),
        },
    }


def _average(metric: str, value: str) -> dict[str, Any]:
    """One metric of the pods; AverageValue is the only kind of target that those have."""
    return {
        "type": "Pods",
        "pods": {"metric": {"name": metric}, "target": {"type": "AverageValue", "averageValue": value}},
    }


def _quantity(number: int) -> str:
    """As the API server writes it: another form would look like somebody's edit."""
    return f"{number // 1000}k" if number and number % 1000 == 0 else str(number)
