"""The pod of one replica: vLLM's server under the restricted Pod Security Standard."""

from typing import Any

from llmfleet.api.settings import GpuProfile, Settings
from llmfleet.api.v1alpha1 import PORT, LLMDeployment
from llmfleet.engine.command import COMMAND, argv, literal
from llmfleet.engine.version import assumed_version, image_of
from llmfleet.manifests import environment, last_words, probes, volumes
from llmfleet.manifests.drain import drain
from llmfleet.manifests.hashing import digest
from llmfleet.manifests.names import ENGINE_CONTAINER, PORT_NAME, RENDERED_HASH, labels, selector
from llmfleet.manifests.resources import resources

ENGINE_USER = 2000
"""The user `vllm` of vLLM's images since 0.22. Its home is moved to the cache volume, so nothing of the image needs to
be writable, and the group need not be root's, as it is in the image."""


def template(deployment: LLMDeployment, settings: Settings) -> dict[str, Any]:
    """The Deployment's `spec.template`.

    Raises:
        LookupError: the settings have no such GPU profile; `engine.checks` says so in words.
        ValueError: the model's source is in no known form; likewise.
    """
    profile = settings.profile(deployment.spec.gpu.profile)
    if profile is None:
        raise LookupError(deployment.spec.gpu.profile)
    shared, spec = labels(deployment.metadata.name), _pod_spec(deployment, settings, profile)
    # Tells the pods of this template from those of an earlier one, with every change of it and with no other.
    annotations = last_words.annotations(deployment.spec, settings)
    annotations[RENDERED_HASH] = digest({"labels": shared, "annotations": annotations, "spec": spec})
    return {"metadata": {"labels": shared, "annotations": annotations}, "spec": spec}


def _pod_spec(deployment: LLMDeployment, settings: Settings, profile: GpuProfile) -> dict[str, Any]:
    version = assumed_version(image_of(deployment.spec, settings), settings)
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        # Service links would put VLLM_PORT=tcp://... into the environment where a Service is called vllm.
        "enableServiceLinks": False,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": drain(deployment.spec, version).grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": ENGINE_USER,
            "runAsGroup": ENGINE_USER,
            "fsGroup": ENGINE_USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [_spread(deployment.metadata.name)],
        "containers": [_container(deployment, settings, profile)],
        "volumes": [volume for volume, _ in _volumes(deployment, settings, profile)],
    }
    if profile.node_selector:
        spec["nodeSelector"] = profile.node_selector
    if profile.tolerations:
        spec["tolerations"] = [
            toleration.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            for toleration in profile.tolerations
        ]
    return spec


def _container(deployment: LLMDeployment, settings: Settings, profile: GpuProfile) -> dict[str, Any]:
    spec, name = deployment.spec, deployment.metadata.name
    image = image_of(spec, settings)
    version = assumed_version(image, settings)
    command_line = [literal(item) for item in argv(spec, name=name, version=version)]
    return {
        "name": ENGINE_CONTAINER,
        "image": image,
        "imagePullPolicy": settings.engine.image_pull_policy,
        "command": command_line[: len(COMMAND)],
        "args": command_line[len(COMMAND) :],
        "env": environment.env(spec, settings),
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "resources": resources(spec, profile),
        "startupProbe": probes.startup(spec, name),
        "readinessProbe": probes.readiness(),
        "livenessProbe": probes.liveness(),
        "lifecycle": drain(spec, version).lifecycle,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        # The engine's process leaves its last words there (`last_words`); where it has none, those of the log do.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [mount for _, mount in _volumes(deployment, settings, profile)],
    }


def _volumes(deployment: LLMDeployment, settings: Settings, profile: GpuProfile) -> list[volumes.Pair]:
    return [*volumes.pairs(deployment, profile), *last_words.volumes(deployment.spec, settings)]


def _spread(name: str) -> dict[str, Any]:
    """Replicas on different nodes where there are some: a wish, because a GPU elsewhere beats no GPU."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(name)},
        "matchLabelKeys": ["pod-template-hash"],
    }
