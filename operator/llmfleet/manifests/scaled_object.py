"""The ScaledObject of the mode KEDA: KV-cache usage and queue out of Prometheus, on the object's own /scale.

KEDA divides a sum over the pods by the target for one (AverageValue). Unlike an average, that does not depend on how
many replicas are ready, so those that still start are not asked for twice. But a sum is short of every pod that
Prometheus does not reach, and a short sum takes replicas away. So, in the queries:

- a pod that is still discovered and cannot be scraped counts with what it said last, for LOOKBACK (`and on (pod) up`);
- one that never said anything, which is one that starts, counts as idle: scale-down waits for at least a start;
- where no pod at all can be scraped there is no answer, which `ignoreNullValues: "false"` makes an error: KEDA's
  fallback then keeps the present number, and never one below minReplicas.

Series are selected by the label of the object that the scrape gives them. A regular expression on pods' names would
match those of other objects too.
"""

from typing import Any

from llmfleet.api.objectives import Targets
from llmfleet.api.v1alpha1 import GROUP, KIND, VERSION, LLMDeployment, ScalingSpec
from llmfleet.engine.metrics import KV_USAGE, WAITING
from llmfleet.manifests import pace
from llmfleet.manifests.names import DEPLOYMENT_LABEL, STARTUP_SECONDS, keda_hpa, metadata

LOOKBACK = "1h"
"""How long a pod that cannot be scraped counts with what it said last."""
POLLING_SECONDS = 15
"""As often as a HorizontalPodAutoscaler looks."""
FAILURES = 3
"""Looks in a row that must fail before KEDA falls back."""
OBJECT_LABEL = DEPLOYMENT_LABEL.replace(".", "_").replace("/", "_")
"""The label of the pods as Prometheus writes it."""


def render(deployment: LLMDeployment, scaling: ScalingSpec, *, address: str, startup: int) -> dict[str, Any]:
    """The ScaledObject of the object.

    Args:
        deployment: the object.
        scaling: its spec.scaling.
        address: URL of Prometheus.
        startup: seconds of a start, as `pace.sized`.
    """
    targets, name = Targets.of(scaling), deployment.metadata.name
    selected = f'namespace="{deployment.metadata.namespace}",{OBJECT_LABEL}="{name}"'
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(deployment) | {"annotations": {STARTUP_SECONDS: str(startup)}},
        "spec": {
            "scaleTargetRef": {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "name": name},
            "minReplicaCount": scaling.min_replicas,
            "maxReplicaCount": scaling.max_replicas,
            "pollingInterval": POLLING_SECONDS,
            "fallback": {
                "failureThreshold": FAILURES,
                "replicas": scaling.min_replicas,
                "behavior": "currentReplicasIfHigher",
            },
            "advanced": {
                "restoreToOriginalReplicaCount": False,
                "horizontalPodAutoscalerConfig": {
                    "name": keda_hpa(name),
                    "behavior": pace.behavior(scaling, startup=startup),
                },
            },
            "triggers": [
                _trigger("kv-cache", kv_usage(selected), round(100 * targets.kv_usage), address),
                _trigger("waiting", waiting(selected), round(targets.waiting), address),
            ],
        },
    }


def kv_usage(selected: str) -> str:
    """PromQL: KV-cache usage of all pods together, in percent of one cache; the fullest engine of a pod counts."""
    names = "|".join(KV_USAGE)
    last = f'last_over_time({{__name__=~"{names}",{selected}}}[{LOOKBACK}])'
    return f"100 * {_over_pods(f'max by (pod) ({last})', selected)}"


def waiting(selected: str) -> str:
    """PromQL: requests that wait, all engines of all pods together; a pod that is scraped twice counts once."""
    last = f"last_over_time({WAITING[0]}{{{selected}}}[{LOOKBACK}])"
    return _over_pods(f"sum by (pod) (max by (pod, engine) ({last}))", selected)


def _over_pods(by_pod: str, selected: str) -> str:
    """The sum over the pods that are there, scraped or not; nothing where none is scraped."""
    up = f"up{{{selected}}}"
    return f"sum({by_pod} and on (pod) {up}) and on () (sum({up}) > 0)"


def _trigger(name: str, query: str, threshold: int, address: str) -> dict[str, Any]:
    return {
        "type": "prometheus",
        "name": name,
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": address,
            "query": query,
            "threshold": str(threshold),
            "activationThreshold": "0",
            "ignoreNullValues": "false",
        },
    }
