"""The files that subcommands read."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import KIND, LLMDeployment
from llmfleet.process.settings import FROM_THE_CLUSTER, explain, load

BUILT_IN = Path(__file__).with_name("settings.json")
"""The chart's settings, written by `make generate`."""
SETTINGS_HELP = "the administrator's settings, as the operator reads them (default: the chart's)"


class UsageError(Exception):
    """What was given cannot be used; the message says what to do."""


def settings(path: Path | None) -> Settings:
    """The administrator's settings; without a file those that the chart has by default.

    Raises:
        SettingsError: the file cannot be read, or holds something else.
        UsageError: it has no GPU profiles; a file replaces all that is built in.
    """
    if path is None:
        return Settings.parse(json.loads(BUILT_IN.read_text(encoding="utf-8")))
    found = load(path)
    if not found.gpu_profiles:
        raise UsageError(
            f"{path}: has no gpuProfiles, and nothing of the built-in settings is added to a file: take the whole one, "
            f"such as the operator's: {FROM_THE_CLUSTER}"
        )
    return found


def deployments(path: Path) -> list[LLMDeployment]:
    """The LLMDeployments of a file; an absent namespace is `default`, as with kubectl. Other kinds are named on stderr.

    Raises:
        UsageError: the file cannot be read, or holds no LLMDeployment.
    """
    try:
        documents = [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not valid YAML: {error}") from error
    found = [_deployment(path, document) for document in _of_our_kind(path, documents)]
    if not found:
        raise UsageError(f"{path}: holds no {KIND}")
    return found


def _of_our_kind(path: Path, documents: list[object]) -> Iterator[dict[str, Any]]:
    """The LLMDeployments among the documents of a file."""
    for document in documents:
        if not isinstance(document, dict) or "kind" not in document:
            raise UsageError(f"{path}: holds a document that is no Kubernetes object: every one needs a kind")
        if document["kind"] == KIND:
            yield document
        else:
            print(f"llmfleet: {path}: passed over a {document['kind']}", file=sys.stderr)  # noqa: T201 - on its streams


def _deployment(path: Path, document: dict[str, Any]) -> LLMDeployment:
    meta = {"namespace": "default", "uid": "00000000-0000-0000-0000-000000000000"} | (document.get("metadata") or {})
    try:
        return LLMDeployment.parse(document | {"metadata": meta})
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from error
