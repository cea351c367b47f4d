"""The administrator's settings file -> `Settings`, with errors that an administrator can act on. Read once at start."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from llmfleet.api.settings import Settings


class SettingsError(Exception):
    """The file cannot be used; the message says where and why."""


def load(path: Path) -> Settings:
    """Read the settings file.

    Raises:
        SettingsError: the file is missing, is no YAML, or holds a wrong or unknown key.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; give the settings file with --settings") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from error
    if document is not None and not isinstance(document, dict):
        raise SettingsError(f"{path}: must hold a mapping with the keys engine, gpuProfiles and scaling")
    try:
        return Settings.parse(document)
    except ValidationError as error:
        raise SettingsError(f"{path}: {explain(error)}") from error


def explain(error: ValidationError) -> str:
    """What pydantic found, as `path: what is wrong` items in one line."""
    found = []
    for item in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")
        found.append(f"{where}: {what}" if where else what)
    return "; ".join(found)
