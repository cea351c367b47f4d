"""CPU, memory, disk and GPUs of the engine's container."""

from typing import Any

from llmfleet.api.settings import GpuProfile
from llmfleet.api.v1alpha1 import LLMDeploymentSpec


def resources(spec: LLMDeploymentSpec, profile: GpuProfile) -> dict[str, Any]:
    """The profile's values, each replaced where the spec has its own; GPUs as a limit, which is also their request."""
    gpus = {profile.resource_name: str(spec.gpu.count)} if profile.resource_name else {}
    requests = _merged(profile.resources.requests.dump(), spec.resources.requests.dump())
    limits = _merged(profile.resources.limits.dump(), spec.resources.limits.dump()) | gpus
    return {name: values for name, values in (("requests", requests), ("limits", limits)) if values}


def _merged(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, str]:
    """Quantities as text: the API server stores them so."""
    return {name: str(value) for name, value in (defaults | own).items()}
