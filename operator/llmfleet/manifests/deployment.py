"""The Deployment that runs the replicas, and the rule by which its pod template is rendered anew or left alone."""

from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment, RolloutSpec
from llmfleet.manifests import pod
from llmfleet.manifests.hashing import digest, inputs_hash, own_template, own_template_hash
from llmfleet.manifests.names import INPUTS_HASH, START_HOLD, TEMPLATE_HASH, metadata, selector

POD_TEMPLATE_HASH = "pod-template-hash"
"""Label that the Deployment controller adds to the templates of its ReplicaSets."""
OLD_REVISIONS = 3
"""ReplicaSets kept for `kubectl rollout history`."""
UNSTARTED_SECONDS = 600
"""For scheduling and pulling an image of ten gigabytes and more, on top of the start-up itself."""


def render(deployment: LLMDeployment, settings: Settings) -> dict[str, Any]:
    """The Deployment of the object, with a fresh pod template and no template hash yet.

    Raises:
        LookupError, ValueError: as `pod.template`.
    """
    outline = render_outline(deployment, settings)
    return outline | {"spec": outline["spec"] | {"template": pod.template(deployment, settings)}}


def render_outline(deployment: LLMDeployment, settings: Settings) -> dict[str, Any]:
    """The Deployment without its pod template: what is compared with the live one at each pass."""
    spec = deployment.spec
    shared = metadata(deployment)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": shared | {"annotations": {INPUTS_HASH: inputs_hash(deployment, settings)}},
        "spec": {
            "replicas": deployment.wanted_replicas,
            "revisionHistoryLimit": OLD_REVISIONS,
            "minReadySeconds": 0,
            "progressDeadlineSeconds": spec.startup.timeout_seconds + UNSTARTED_SECONDS,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling(spec.rollout)},
            "selector": {"matchLabels": selector(deployment.metadata.name)},
        },
    }


def adjusted(rendered: dict[str, Any], *, replicas: int, hold: str, inputs: str = "") -> dict[str, Any]:
    """The rendered Deployment as failed starts will have it.

    Args:
        rendered: as the spec asks for it.
        replicas: to run now.
        hold: what is known of failed starts; empty if nothing is.
        inputs: hash of what the template is made from, where that is not the spec's.
    """
    annotations = rendered["metadata"]["annotations"] | ({START_HOLD: hold} if hold else {})
    if inputs:
        annotations |= {INPUTS_HASH: inputs}
    return rendered | {
        "metadata": rendered["metadata"] | {"annotations": annotations},
        "spec": rendered["spec"] | {"replicas": replicas},
    }


def going_back(rendered: dict[str, Any], replica_set: dict[str, Any]) -> dict[str, Any]:
    """The rendered Deployment with the template of one of its ReplicaSets, whose pods then stay as they are.

    Kubernetes copies the annotations of a Deployment to its newest ReplicaSet, where they stay: so the hash of what the
    earlier template was made from is still known.
    """
    meta = replica_set["spec"]["template"]["metadata"]
    labels = {key: value for key, value in meta["labels"].items() if key != POD_TEMPLATE_HASH}
    kept = {key: value for key, value in meta.items() if value is not None} | {"labels": labels}
    inputs = replica_set["metadata"].get("annotations", {}).get(INPUTS_HASH, "")
    annotations = rendered["metadata"]["annotations"] | {INPUTS_HASH: inputs}
    return rendered | {
        "metadata": rendered["metadata"] | {"annotations": annotations},
        "spec": rendered["spec"] | {"template": replica_set["spec"]["template"] | {"metadata": kept}},
    }


def template_stands(rendered: dict[str, Any], live: dict[str, Any] | None) -> bool:
    """Whether the live pod template was made from the same inputs and nobody has changed our part of it since."""
    if live is None:
        return False
    was = live["metadata"].get("annotations", {})
    same_inputs = was.get(INPUTS_HASH) == rendered["metadata"]["annotations"][INPUTS_HASH]
    return same_inputs and has_template_hash(live)


def keeping_template(rendered: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """The rendered Deployment with our part of the live template and its hash: to be applied where it stands.

    The template itself has to be in what is applied: a field that is left out would be removed.
    """
    return _with(rendered, template_hash=own_template_hash(live), template=own_template(live))


def with_template_hash(rendered: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """The rendered Deployment with the hash of the template as the API server stores it.

    Args:
        rendered: what is about to be applied.
        stored: the API server's answer to applying it, or to a dry run of that.
    """
    return _with(rendered, template_hash=own_template_hash(stored), template=rendered["spec"]["template"])


def with_rendered_hash(rendered: dict[str, Any]) -> dict[str, Any]:
    """The rendered Deployment with the hash of the template as it stands there: true if the server stores it so."""
    template = rendered["spec"]["template"]
    return _with(rendered, template_hash=digest(template), template=template)


def has_image_volumes(rendered: dict[str, Any]) -> bool:
    """Whether the pods mount images: a cluster without image volumes drops such a volume without a word."""
    return any("image" in volume for volume in _volumes(rendered))


def dropped_volumes(rendered: dict[str, Any], stored: dict[str, Any]) -> list[str]:
    """Names of the volumes that the API server did not take."""
    kept = {volume["name"] for volume in _volumes(stored)}
    return [volume["name"] for volume in _volumes(rendered) if volume["name"] not in kept]


def has_template_hash(live: dict[str, Any]) -> bool:
    """Whether the hash on a live Deployment is that of our part of its template."""
    return bool(live["metadata"].get("annotations", {}).get(TEMPLATE_HASH) == own_template_hash(live))


def _volumes(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = deployment["spec"]["template"]["spec"].get("volumes", [])
    return volumes


def _with(rendered: dict[str, Any], *, template_hash: str, template: dict[str, Any]) -> dict[str, Any]:
    annotations = rendered["metadata"]["annotations"] | {TEMPLATE_HASH: template_hash}
    return rendered | {
        "metadata": rendered["metadata"] | {"annotations": annotations},
        "spec": rendered["spec"] | {"template": template},
    }


def _rolling(rollout: RolloutSpec) -> dict[str, int]:
    return {"maxSurge": rollout.max_surge, "maxUnavailable": rollout.max_unavailable}
