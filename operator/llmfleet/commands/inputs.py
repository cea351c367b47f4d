"""The files that subcommands read."""

import json
from pathlib import Path

import yaml
from pydantic import ValidationError

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import KIND, LLMDeployment
from llmfleet.controller.settings import explain

PROFILES = Path(__file__).with_name("gpu-profiles.json")
"""The chart's GPU profiles, written by `make generate`."""


class UsageError(Exception):
    """What was given cannot be used; the message says what to do."""


def built_in_settings() -> Settings:
    """The settings where no file is given: the chart's GPU profiles."""
    return Settings.parse({"gpuProfiles": json.loads(PROFILES.read_text(encoding="utf-8"))})


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
