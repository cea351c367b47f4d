"""The engine's environment, sorted by name: the same spec gives the same bytes.

Where several set a variable, the later one wins: the operator's own, the tenant's (whose reserved names are refused
before), the administrator's, and the Secrets.
"""

from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeploymentSpec, SecretKeyRef
from llmfleet.engine.command import literal

CACHE_MOUNT = "/cache"
"""A volume of the pod alone: compiled kernels are unpickled, so nobody else may write there."""

OWN = {
    "DO_NOT_TRACK": "1",
    "HF_HOME": f"{CACHE_MOUNT}/huggingface",
    "HOME": CACHE_MOUNT,
    "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_MOUNT}/inductor",
    "TRITON_CACHE_DIR": f"{CACHE_MOUNT}/triton",
    "USER": "vllm",  # an image without an entry for the user ID fails at import otherwise (torch asks getpass)
    "VLLM_CACHE_ROOT": f"{CACHE_MOUNT}/vllm",
    "VLLM_CONFIG_ROOT": f"{CACHE_MOUNT}/vllm-config",
    "VLLM_NO_USAGE_STATS": "1",
    "XDG_CACHE_HOME": f"{CACHE_MOUNT}/xdg",
}
"""Every cache on the cache volume, because the image's own file system is read-only; no telemetry."""


def env(spec: LLMDeploymentSpec, settings: Settings) -> list[dict[str, Any]]:
    """The `env` of the engine's container. Values are literal: `$(NAME)` stays as it is."""
    tenant = {variable.name: variable.value for variable in spec.engine.env}
    plain = OWN | tenant | settings.engine.extra_env
    variables: dict[str, dict[str, Any]] = {
        name: {"name": name, "value": literal(value)} for name, value in plain.items()
    }
    for name, reference in _secrets(spec).items():
        variables[name] = {
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}},
        }
    return [variables[name] for name in sorted(variables)]


def _secrets(spec: LLMDeploymentSpec) -> dict[str, SecretKeyRef]:
    """Read by the kubelet; the operator has no right to."""
    references = {"HF_TOKEN": spec.model.token_secret_ref, "VLLM_API_KEY": spec.access.api_key_secret_ref}
    return {name: reference for name, reference in references.items() if reference}
