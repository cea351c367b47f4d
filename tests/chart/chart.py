"""The chart rendered by the real helm, without a cluster."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.paths import binary

CHART = Path(__file__).parents[2] / "charts" / "llmfleet"
KUBERNETES = "1.34"

Manifest = dict[str, Any]


class HelmError(Exception):
    """helm refused; the message is what it said."""


def helm(*args: str, stdin: str = "") -> str:
    """Run helm and return what it printed.

    Raises:
        HelmError: helm failed.
        FileNotFoundError: there is no helm; the message says how to build one.
    """
    found = shutil.which("helm") or str(binary("helm"))
    done = subprocess.run([found, *args], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


def rendered(values: dict[str, Any], *, chart: Path = CHART) -> str:
    """What `helm install llmfleet` would send, as text; a release `llmfleet` in the namespace `llmfleet`."""
    place = ["llmfleet", str(chart), "--namespace=llmfleet", f"--kube-version={KUBERNETES}", "--values=-"]
    return helm("template", *place, stdin=yaml.safe_dump(values))


def manifests(values: dict[str, Any]) -> list[Manifest]:
    """What `helm install llmfleet` would send."""
    return [document for document in yaml.safe_load_all(rendered(values)) if document]


def one(values: dict[str, Any], kind: str) -> Manifest:
    """The only object of a kind, beside those of the activators."""
    (found,) = (manifest for manifest in manifests(values) if manifest["kind"] == kind and not is_activators(manifest))
    return found


def is_activators(manifest: Manifest) -> bool:
    """Whether an object belongs to the activators, not to the operator."""
    return bool(manifest["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "activator")


def activators(values: dict[str, Any], kind: str) -> list[Manifest]:
    """The activators' objects of a kind."""
    return [manifest for manifest in manifests(values) if manifest["kind"] == kind and is_activators(manifest)]
