"""Every rule, bound and enum of the CRD, found by walking its schema: what the accept/reject table must cover."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "maxItems", "maxProperties", "pattern", "enum")


@dataclass(frozen=True)
class Constraint:
    """One thing that the API server refuses."""

    path: tuple[str, ...]
    """Where it stands, from the object's root; `[]` is an item of a list, `{}` a value of a map."""
    keyword: str
    """minimum, pattern, rule, ..."""
    value: Any
    """The bound, or the rule's message."""
    exclusive: bool = False
    """Whether the bound itself is outside."""

    @property
    def name(self) -> str:
        """For messages and test names."""
        detail = f": {self.value}" if self.keyword == "rule" else ""
        return f"{'.'.join(self.path)} {self.keyword}{detail}"


def constraints(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[Constraint]:
    """All constraints at and below this node."""
    for keyword in BOUNDS:
        if keyword in schema:
            exclusive = bool(schema.get(f"exclusive{keyword.capitalize()}", False))
            yield Constraint(path, keyword, schema[keyword], exclusive)
    for rule in schema.get("x-kubernetes-validations", []):
        yield Constraint(path, "rule", rule["message"])
    for name in schema.get("required", []):
        yield Constraint((*path, name), "required", value=True)
    if schema.get("x-kubernetes-list-type") in {"set", "map"}:
        yield Constraint(path, "unique", value=True)
    for name, child in schema.get("properties", {}).items():
        yield from constraints(child, (*path, name))
    if "items" in schema:
        yield from constraints(schema["items"], (*path, "[]"))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from constraints(schema["additionalProperties"], (*path, "{}"))


def spec_constraints(document: dict[str, Any]) -> list[Constraint]:
    """The constraints on what users write: the object's root and its spec."""
    root = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root = root | {"properties": {"spec": root["properties"]["spec"]}}
    return list(constraints(root))
