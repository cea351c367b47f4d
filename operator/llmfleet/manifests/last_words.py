"""Where the engine leaves its last words: a logging configuration, as a file, without an object of its own.

The configuration stands in an annotation of the pod, and the kubelet makes a file of it (a downwardAPI volume): a
ConfigMap would be one more kind of child, and one more right. Why it is needed: `engine.logs`.
"""

import json
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeploymentSpec
from llmfleet.engine import logs
from llmfleet.engine.version import assumed_version, image_of
from llmfleet.manifests.names import LOGGING

MOUNT = "/etc/llmfleet"
FILE = "logging.json"


def is_wanted(spec: LLMDeploymentSpec, settings: Settings) -> bool:
    """Whether neither the tenant nor the administrator asks for a logging of their own."""
    variables = [*(variable.name for variable in spec.engine.env), *settings.engine.extra_env]
    return logs.is_free(arguments=spec.engine.extra_args, variables=variables)


def annotations(spec: LLMDeploymentSpec, settings: Settings) -> dict[str, str]:
    """Of the pod."""
    if not is_wanted(spec, settings):
        return {}
    given = {variable.name: variable.value for variable in spec.engine.env} | settings.engine.extra_env
    version = assumed_version(image_of(spec, settings), settings)
    config = logs.config(version, level=given.get(logs.LEVEL_VARIABLE, "INFO").upper())
    return {LOGGING: json.dumps(config, separators=(",", ":"))}


def environment(spec: LLMDeploymentSpec, settings: Settings) -> dict[str, str]:
    """Of the engine's container."""
    return {logs.CONFIG_VARIABLE: f"{MOUNT}/{FILE}"} if is_wanted(spec, settings) else {}


def volumes(spec: LLMDeploymentSpec, settings: Settings) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The volume, beside its mount."""
    if not is_wanted(spec, settings):
        return []
    # The version is the default; the list is stored as a whole, so without it the template would come back changed.
    item = {"path": FILE, "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{LOGGING}']"}}
    return [
        (
            {"name": "logging", "downwardAPI": {"items": [item]}},
            {"name": "logging", "mountPath": MOUNT, "readOnly": True},
        )
    ]
