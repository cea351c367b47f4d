"""Children as the operator makes them and as the API server gives them, for the tests of the controller."""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.controller.autoscalers import view_autoscaler
from llmfleet.controller.child import view_child
from llmfleet.controller.observed import Observed, view_deployment
from llmfleet.controller.plan import Desired, desire
from llmfleet.kube.objects import view_object
from llmfleet.kube.pods import view_pod
from llmfleet.manifests.children import children
from llmfleet.manifests.deployment import with_template_hash
from tests.unit.kube.bodies import Body

SETTINGS = Settings.parse(
    {
        "gpuProfiles": [{"name": "gpu", "default": True, "memoryGiB": 80}],
        "prometheus": {"address": "http://prometheus:9090"},
    }
)
STARTUP = 120
"""Seconds of a start to which autoscalers are sized."""


def parsed(body: Body) -> LLMDeployment:
    return LLMDeployment.parse(body)


def stored(manifest: Body, *, version: int = 2, status: Body | None = None) -> Body:
    """What the API server holds after the operator applied a manifest: everything in it belongs to the operator."""
    body = deepcopy(manifest)
    fields = {key: _owned(body[key]) for key in ("spec",)}
    meta = {
        key: _owned(body["metadata"][key])
        for key in ("labels", "annotations", "ownerReferences")
        if key in body["metadata"]
    }
    entry = {
        "manager": "llmfleet",
        "operation": "Apply",
        "fieldsV1": {"f:metadata": _named(meta), **_named(fields)},
    }
    body["metadata"] |= {
        "uid": f"uid-of-{manifest['kind']}",
        "resourceVersion": str(version),
        "generation": 1,
        "managedFields": [entry],
    }
    return body | {"status": {"observedGeneration": 1} | (status or {})}


def _named(fields: Mapping[str, Any]) -> Body:
    return {f"f:{key}": value for key, value in fields.items()}


def _owned(value: Any) -> Body:
    """`fieldsV1` of a value: maps by key, lists of named things by their name, other lists as a whole."""
    if isinstance(value, dict):
        return _named({key: _owned(item) for key, item in value.items()})
    if isinstance(value, list) and value and all(isinstance(item, dict) and "uid" in item for item in value):
        return {f'k:{{"uid":{json.dumps(item["uid"])}}}': {} for item in value}
    if isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        return {f'k:{{"name":{json.dumps(item["name"])}}}': {".": {}} | _owned(item) for item in value}
    return {}


def lose(body: Body, *path: str) -> None:
    """Somebody else set a field: it is no longer the operator's."""
    fields = body["metadata"]["managedFields"][0]["fieldsV1"]
    for step in path[:-1]:
        fields = fields[step]
    del fields[path[-1]]


def manifests_of(target: Body) -> list[Body]:
    return children(parsed(target), SETTINGS, startup=STARTUP)


def running(target: Body, *, status: Body | None = None) -> dict[str, Body]:
    """All children as they are after a first pass, by kind."""
    found = {}
    for manifest in manifests_of(target):
        final = manifest
        if manifest["kind"] == "Deployment":
            final = with_template_hash(manifest, stored(manifest))
        found[manifest["kind"]] = stored(final, status=status if manifest["kind"] == "Deployment" else None)
    return found


def observed(target: Body, found: Mapping[str, Body] | None = None, pods: tuple[Body, ...] = ()) -> Observed:
    live = found or {}
    return Observed(
        target=view_object(target),
        deployment=view_deployment(live["Deployment"]) if "Deployment" in live else None,
        service=view_child(live["Service"]) if "Service" in live else None,
        pdb=view_child(live["PodDisruptionBudget"]) if "PodDisruptionBudget" in live else None,
        hpa=view_autoscaler(live["HorizontalPodAutoscaler"]) if "HorizontalPodAutoscaler" in live else None,
        scaled_object=view_autoscaler(live["ScaledObject"]) if "ScaledObject" in live else None,
        keda_hpa=view_autoscaler(live["keda-hpa"]) if "keda-hpa" in live else None,
        policy=view_child(live["NetworkPolicy"]) if "NetworkPolicy" in live else None,
        pods=tuple(view_pod(pod) for pod in pods),
    )


def desired_of(target: Body, settings: Settings = SETTINGS) -> Desired:
    return desire(parsed(target), settings, startup=STARTUP)


def counts(*, current: int, updated: int, ready: int, observed_generation: int = 1) -> Body:
    """A Deployment's status."""
    return {
        "replicas": current,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "observedGeneration": observed_generation,
    }
