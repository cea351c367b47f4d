"""The files that subcommands read."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from llmfleet.api.v1alpha1 import KIND, LLMDeployment
from llmfleet.controller.settings import explain


class UsageError(Exception):
    """What was given cannot be used; the message says what to do."""


def deployments(path: Path) -> list[LLMDeployment]:
    """The LLMDeployments of a file; an absent namespace is `default`, as with kubectl.

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    try:
        documents = [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not valid YAML: {error}") from error
    return [_deployment(path, document) for document in documents]


def _deployment(path: Path, document: object) -> LLMDeployment:
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise UsageError(f"{path}: every document must be of kind {KIND}")
    meta = {"namespace": "default", "uid": "00000000-0000-0000-0000-000000000000"} | (document.get("metadata") or {})
    try:
        return LLMDeployment.parse(document | {"metadata": meta})
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from error
