"""Two hashes by which the operator knows whether a pod template has to be rendered anew.

`inputs_hash` covers what goes in: the spec but replicas and scaling, and the settings that the template uses.
`own_template_hash` covers what came out: our own fields of the live template, by the API server's record of who set
what (metadata.managedFields). Together they make a changed spec, or an edited template, one rollout, and an operator's
upgrade none. Why so: operator/decisions/0010-two-hashes.md.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine.version import image_of, version_of
from llmfleet.manifests.names import FIELD_MANAGER

Fields = Mapping[str, Any]
"""A node of fieldsV1: `f:NAME`, `k:{"key": ...}`, `v:VALUE`, `i:INDEX` -> the fields below; `.` is the node itself."""

NOT_INPUTS: dict[str, Any] = {
    "replicas": True,
    "scaling": True,
    "model": {"architecture"},
    "access": {"network_policy"},
}
"""Fields of the spec that never change what a pod is: how many there are, what is planned, who reaches them."""


def inputs_hash(deployment: LLMDeployment, settings: Settings) -> str:
    """Hash of everything that goes into the pod template.

    Values that equal their default are left out, so that a field added by a later operator changes no hash.
    """
    hub = settings.models.hub.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    profile = settings.profile(deployment.spec.gpu.profile)
    image = image_of(deployment.spec, settings)
    spec = deployment.spec.model_dump(mode="json", by_alias=True, exclude=NOT_INPUTS, exclude_defaults=True)
    used = {"resource_name", "node_selector", "tolerations", "resources"}
    return digest(
        {
            # A section of which nothing is left is as if it had not been written.
            "spec": {name: value for name, value in spec.items() if value != {}},
            "profile": profile and profile.model_dump(mode="json", by_alias=True, include=used, exclude_defaults=True),
            "image": image,
            # Not the assumed version: where nothing is known, the next operator may assume another one.
            "version": str(version_of(image, settings) or version_of(settings.engine.default_image, settings)),
            "pullPolicy": settings.engine.image_pull_policy,
            "env": settings.engine.extra_env,
        }
        | ({"hub": hub} if hub else {})
    )


def digest(value: Any) -> str:
    """A short stable hash of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:16]


def own_template(live: dict[str, Any]) -> dict[str, Any]:
    """Our own fields of a live Deployment's pod template; empty where we own none."""
    template: dict[str, Any] = own_fields(live, FIELD_MANAGER).get("spec", {}).get("template", {})
    return template


def own_template_hash(live: dict[str, Any]) -> str:
    """Hash of our own fields of a live Deployment's pod template."""
    return digest(own_template(live))


def own_fields(live: dict[str, Any], manager: str) -> dict[str, Any]:
    """The part of a live object that this manager has set by server-side apply and that nobody has changed since.

    Args:
        live: an object as the API server gives it, with metadata.managedFields.
        manager: a field manager.

    Returns:
        The fields with their live values, in the object's own shape: ready to be applied again.
    """
    for entry in live["metadata"].get("managedFields", []):
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == (manager, "Apply", ""):
            projected: dict[str, Any] = _project(live, entry["fieldsV1"])
            return projected
    return {}


def _project(value: Any, fields: Fields) -> Any:
    below = {key: sub for key, sub in fields.items() if key != "."}
    if not below:
        return value if "." not in fields else type(value)()
    if isinstance(value, list):
        return [_project(item, sub) for item, sub in _items(value, below)]
    return {key[2:]: _project(value[key[2:]], sub) for key, sub in below.items() if key[2:] in value}


def _items(values: list[Any], fields: Fields) -> Iterator[tuple[Any, Fields]]:
    """The items of a list that are owned, in the list's order, each with its own fields."""
    for index, item in enumerate(values):
        for key, sub in fields.items():
            if _is_item(key, item, index):
                yield item, sub
                break


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    """The value in a key such as `k:{"name":"http"}`: a few dozen different ones come up for ever."""
    return json.loads(text)


def _is_item(key: str, item: Any, index: int) -> bool:
    kind, _, text = key.partition(":")
    if kind == "i":
        return int(text) == index
    wanted = _parsed(text)
    if kind == "v":
        return bool(wanted == item)
    return isinstance(item, dict) and all(item.get(name) == value for name, value in wanted.items())
