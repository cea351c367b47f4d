"""Writes what the chart holds in copy, and the settings that `llmfleet plan` and `llmfleet render` copy from it.

In copy: the CRD, values.schema.json, the table of values in README.md and the dashboards. Sources are the API models
(llmfleet.api), the comments of values.yaml and charts/dashboards. `make generate` runs this file; a test says when a
copy is stale.
"""
# ruff: noqa: INP001 - a script beside the chart, no package

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from charts import dashboards
from llmfleet.api import crd
from llmfleet.api.settings import Settings

CHART = Path(__file__).parent / "llmfleet"
PACKAGE = Path(__file__).parents[1] / "operator" / "llmfleet"
SETTINGS_KEY = "settings"
_BEGIN, _END = "<!-- values: begin (made by `make generate`) -->", "<!-- values: end -->"
_LONGEST_DEFAULT = 60
_OWN_WORDS = {"name", "default"}
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


@dataclass(frozen=True)
class Value:
    """One value of the chart with what its comment says."""

    path: tuple[str, ...]
    default: Any
    text: str
    """The comment; paragraphs are divided by a newline."""
    extra: dict[str, Any]
    """The comment's @schema line."""
    children: tuple["Value", ...] = field(default=())

    @property
    def is_section(self) -> bool:
        """Whether the values inside have comments of their own."""
        return bool(self.children)


def values(text: str) -> tuple[Value, ...]:
    """Read values.yaml with its comments.

    Raises:
        ValueError: a value has no comment.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return tuple(_values(root, yaml.safe_load(text), text.splitlines(), ()))


def _values(node: Any, content: Any, lines: list[str], parents: tuple[str, ...]) -> Iterator[Value]:
    for key, below in node.value:
        path, default = (*parents, key.value), content[key.value]
        text, extra = _comment(lines, key.start_mark.line)
        children: tuple[Value, ...] = ()
        if (
            isinstance(below, yaml.MappingNode)
            and below.value
            and _comment(lines, below.value[0][0].start_mark.line)[0]
        ):
            children = tuple(_values(below, default, lines, path))
        elif not text:
            raise ValueError(f"{'.'.join(path)} in values.yaml needs a comment above it")
        yield Value(path, default, text, extra, children)


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    """The comment that stands directly above a line."""
    words: list[str] = []
    while line and (match := re.match(r"\s*#\s?(.*)$", lines[line - 1])):
        words.insert(0, match[1])
        line -= 1
    extra = [word.removeprefix("@schema ") for word in words if word.startswith("@schema ")]
    prose = [word for word in words if not word.startswith("@schema ")]
    text = "\n".join(" ".join(paragraph.split("\n")) for paragraph in "\n".join(prose).split("\n\n"))
    return text.strip(), json.loads(extra[0]) if extra else {}


def values_schema(text: str) -> str:
    """values.schema.json: types and comments of values.yaml; for the settings, the operator's own model."""
    settings = _tidy(Settings.model_json_schema(by_alias=True))
    definitions = settings.pop("$defs")
    profile = definitions["GpuProfile"]
    changes = {name: schema for name, schema in profile["properties"].items() if name not in _OWN_WORDS}
    definitions["GpuProfileChange"] = {"type": "object", "additionalProperties": False, "properties": changes}
    root = _object(values(text)) | {"$schema": "http://json-schema.org/draft-07/schema#", "$defs": definitions}
    root["properties"] |= {SETTINGS_KEY: settings, "global": {"type": "object", "description": "Helm's, not used."}}
    return json.dumps(root, indent=2) + "\n"


def _object(children: tuple[Value, ...]) -> dict[str, Any]:
    """A mapping with these keys and no others; each is there unless somebody takes it away with null."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [value.path[-1] for value in children],
        "properties": {value.path[-1]: _schema(value) for value in children},
    }


def _schema(value: Value) -> dict[str, Any]:
    described = {"description": value.text.replace("\n", " ")} if value.text else {}
    if value.is_section:
        return described | _object(value.children)
    return described | {"type": _TYPES[type(value.default)]} | value.extra


def _tidy(node: Any) -> Any:
    """A schema of pydantic without what is not for users of the chart; every object closed to unknown keys."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: {name: _tidy(below) for name, below in item.items()} if key in {"properties", "$defs"} else _tidy(item)
        for key, item in node.items()
        if key not in {"title", "default"} and not key.startswith("x-kubernetes")
    }
    if isinstance(text := kept.get("description"), str):
        kept["description"] = " ".join(text.split())
    return kept | ({"additionalProperties": False} if "properties" in kept else {})


def readme(current: str, text: str) -> str:
    """README.md with the table of values.yaml between its two marks."""
    rows = [_row(value) for value in _leaves(values(text))]
    table = "\n".join(["| Value | Default | Meaning |", "|---|---|---|", *rows])
    before, _, rest = current.partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}\n\n{table}\n\n{_END}{after}"


def _leaves(found: tuple[Value, ...]) -> Iterator[Value]:
    for value in found:
        if value.is_section:
            yield from _leaves(value.children)
        else:
            yield value


def _row(value: Value) -> str:
    default = json.dumps(value.default)
    shown = f"`{default}`" if len(default) <= _LONGEST_DEFAULT else "see [values.yaml](values.yaml)"
    cells = (f"`{'.'.join(value.path)}`", shown, value.text.split("\n", maxsplit=1)[0])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def crd_template() -> str:
    """The CRD as a template: only when wanted, with Helm's labels, and with nothing in it that Helm could interpret."""
    body = crd.document()
    head, _, rest = crd.to_yaml(body).partition("spec:\n")
    escaped = rest.replace("{{", '{{ "{{" }}')
    return (
        "{{- if .Values.crds.enabled }}\n"
        f"{head}"
        "  labels:\n"
        '    {{- include "llmfleet.labels" . | nindent 4 }}\n'
        "  {{- if .Values.crds.keep }}\n"
        "  annotations:\n"
        "    helm.sh/resource-policy: keep\n"
        "  {{- end }}\n"
        f"spec:\n{escaped}"
        "{{- end }}\n"
    )


def settings(text: str) -> str:
    """The chart's settings for the subcommands that do without a cluster, and without a settings file."""
    return json.dumps(yaml.safe_load(text)[SETTINGS_KEY], indent=1) + "\n"


def files() -> dict[Path, str]:
    """Every generated file of the chart with what it should hold."""
    text = (CHART / "values.yaml").read_text()
    return {
        CHART / "templates" / "crds" / "llmdeployments.yaml": crd_template(),
        CHART / "values.schema.json": values_schema(text),
        CHART / "README.md": readme((CHART / "README.md").read_text(), text),
        **{CHART / "files" / "dashboards" / name: text for name, text in dashboards.files().items()},
        PACKAGE / "commands" / "settings.json": settings(text),
    }


if __name__ == "__main__":
    for path, wanted in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted)
