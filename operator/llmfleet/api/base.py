"""The base of every API model, and the annotations that carry Kubernetes' own schema words into the CRD."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema


class ApiModel(BaseModel):
    """camelCase outside, snake_case inside, immutable; unknown fields are dropped as the API server prunes them."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    def dump(self) -> dict[str, Any]:
        """The object as a user would write it: camelCase keys, nothing that is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True)
class Cel:
    """One validation rule of the API server, with the sentence a user sees when it fails.

    `message_expression` is a CEL expression that names the offending value; `message` stands in when it fails.
    """

    rule: str
    message: str
    message_expression: str | None = None

    def as_dict(self) -> dict[str, str]:
        """The rule as an item of x-kubernetes-validations."""
        expression = {"messageExpression": self.message_expression} if self.message_expression else {}
        return {"rule": self.rule, "message": self.message} | expression

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add the rule beside the field's own schema."""
        schema = handler(core)
        schema.setdefault("x-kubernetes-validations", []).append(self.as_dict())
        return schema


@dataclass(frozen=True)
class Extension:
    """A fixed schema word, such as x-kubernetes-list-type, beside a field's own schema."""

    words: tuple[tuple[str, Any], ...]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add the words."""
        schema = handler(core)
        schema.update({key: list(value) if isinstance(value, tuple) else value for key, value in self.words})
        return schema


ATOMIC = Extension((("x-kubernetes-list-type", "atomic"),))
SET = Extension((("x-kubernetes-list-type", "set"),))


def list_map(*keys: str) -> Extension:
    """A list whose items are told apart by these keys."""
    return Extension((("x-kubernetes-list-type", "map"), ("x-kubernetes-list-map-keys", keys)))


def rules(*cel: Cel) -> dict[str, Any]:
    """The `json_schema_extra` of a model that carries rules over several of its fields."""
    return {"x-kubernetes-validations": [rule.as_dict() for rule in cel]}
