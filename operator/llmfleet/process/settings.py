"""The administrator's settings file -> `Settings`, with errors that an administrator can act on. Read once at start."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from llmfleet.api.settings import Settings

FROM_THE_CLUSTER = (
    "kubectl get configmap llmfleet-settings --namespace llmfleet -o jsonpath='{.data.settings\\.yaml}' > settings.yaml"
)
"""Where an administrator finds the file of a release llmfleet in the namespace llmfleet."""
_OF_THE_CHART = frozenset({"settings", "gpuProfileOverrides", "defaultGpuProfile"})
"""Values of the chart of which it makes the file; no key of the file is called so."""


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
    if document and _OF_THE_CHART & set(document):
        raise SettingsError(
            f"{path}: this looks like values of the chart. The operator reads what the chart makes of them: "
            f"{FROM_THE_CLUSTER}"
        )
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
