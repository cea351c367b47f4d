"""The engine's environment, sorted by name: the same spec gives the same bytes.

Where several set a variable, the later one wins: the operator's own, the tenant's (whose reserved names are refused
before), the administrator's, and the Secrets.
"""

from collections.abc import Iterator
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeploymentSpec
from llmfleet.engine.command import literal
from llmfleet.manifests import last_words

CACHE_MOUNT = "/cache"
"""A volume of the object alone: compiled kernels are unpickled, so nobody else may write there."""

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
    own = OWN | last_words.environment(spec, settings) | _hub(settings) | _bucket(spec)
    tenant = {variable.name: variable.value for variable in spec.engine.env}
    plain = own | tenant | settings.engine.extra_env
    variables: dict[str, dict[str, Any]] = {
        name: {"name": name, "value": literal(value)} for name, value in plain.items()
    }
    variables |= {variable["name"]: variable for variable in _secrets(spec)}
    return [variables[name] for name in sorted(variables)]


def _hub(settings: Settings) -> dict[str, str]:
    """A mirror, and offline mode."""
    hub = settings.models.hub
    endpoint = {"HF_ENDPOINT": hub.endpoint} if hub.endpoint else {}
    return endpoint | ({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if hub.offline else {})


def _bucket(spec: LLMDeploymentSpec) -> dict[str, str]:
    """How the streamer (run:ai model streamer, by AWS' names) reaches the bucket."""
    s3 = spec.model.s3
    if s3 is None:
        return {}
    endpoint = {"AWS_ENDPOINT_URL": s3.endpoint} if s3.endpoint else {}
    return endpoint | ({"AWS_REGION": s3.region, "AWS_DEFAULT_REGION": s3.region} if s3.region else {})


def _secrets(spec: LLMDeploymentSpec) -> Iterator[dict[str, Any]]:
    """Read by the kubelet; the operator has no right to."""
    references = {"HF_TOKEN": spec.model.token_secret_ref, "VLLM_API_KEY": spec.access.api_key_secret_ref}
    for name, reference in references.items():
        if reference:
            yield _secret(name, reference.name, reference.key)
    if spec.model.s3 and spec.model.s3.credentials_secret_ref:
        secret = spec.model.s3.credentials_secret_ref.name
        yield _secret("AWS_ACCESS_KEY_ID", secret, "AWS_ACCESS_KEY_ID")
        yield _secret("AWS_SECRET_ACCESS_KEY", secret, "AWS_SECRET_ACCESS_KEY")
        yield _secret("AWS_SESSION_TOKEN", secret, "AWS_SESSION_TOKEN", optional=True)


def _secret(variable: str, secret: str, key: str, *, optional: bool = False) -> dict[str, Any]:
    reference = {"name": secret, "key": key} | ({"optional": True} if optional else {})
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}
