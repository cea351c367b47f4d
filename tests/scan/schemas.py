"""Schemas for kubeconform, offline: Kubernetes' own from kubernetes-validate, those of CRDs (ours, KEDA's) from these.

kubernetes-validate keeps one file of definitions beside the kinds; kubeconform reads each file alone, so each gets
those that it refers to.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from llmfleet.api import crd
from llmfleet.api.v1alpha1 import GROUP, VERSION
from tests.chart.chart import KUBERNETES

SOURCE = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local-strict"
KEDA = Path(__file__).parents[1] / "control_plane" / "keda" / "keda.sh_scaledobjects.yaml"
PATTERN = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
"""How kubeconform finds a kind's file."""
_REFERENCE = re.compile(r'"(?:/api/_definitions\.json)?#/\$defs/([^"]+)"')


def write(folder: Path) -> str:
    """Write the schemas into a folder; the place, as kubeconform takes it."""
    known = json.loads((SOURCE / "_definitions.json").read_text())["$defs"]
    for path in SOURCE.glob("*-*.json"):
        text = path.read_text()
        whole = json.loads(text) | {"$defs": {name: known[name] for name in _closure(text, known)}}
        del whole["$id"]
        (folder / path.name).write_text(_REFERENCE.sub(r'"#/$defs/\1"', json.dumps(whole)))
    group = GROUP.partition(".")[0]
    (folder / f"llmdeployment-{group}-{VERSION}.json").write_text(json.dumps(_of(crd.document())))
    (folder / "scaledobject-keda-v1alpha1.json").write_text(json.dumps(_of(yaml.safe_load(KEDA.read_text()))))
    return f"{folder}/{PATTERN}"


def _closure(text: str, known: dict[str, Any]) -> Iterator[str]:
    """The names of all definitions that a text refers to, directly or not."""
    waiting, seen = _REFERENCE.findall(text), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting += _REFERENCE.findall(json.dumps(known[name]))


def _of(definition: dict[str, Any]) -> Any:
    """The schema of a CRD, closed to fields that it does not know."""
    return _closed(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    has_fields = isinstance(closed.get("properties"), dict) and closed.get("type") == "object"
    return closed | ({"additionalProperties": False} if has_fields else {})
