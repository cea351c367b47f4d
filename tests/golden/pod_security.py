"""The restricted Pod Security Standard, as far as it speaks of fields: what a pod template breaks of it.

Source: kubernetes.io/docs/concepts/security/pod-security-standards, of which this is the whole restricted list,
and image volumes, which the API server takes (tests/control_plane/test_sources.py asks it).
"""

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
HOST = ("hostNetwork", "hostPID", "hostIPC", "hostUsers")


def violations(pod: dict[str, Any]) -> Iterator[str]:
    """What a pod's spec breaks, one word each."""
    security = pod.get("securityContext", {})
    yield from (field for field in HOST if pod.get(field))
    yield from (f"volume {v['name']}" for v in pod.get("volumes", []) if not VOLUMES & v.keys())
    yield from (f"securityContext.{key}" for key in ("sysctls", "seLinuxOptions", "windowsOptions") if key in security)
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        yield from (f"{container['name']}: {what}" for what in _container(container, security))


def _container(container: dict[str, Any], pod_security: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    merged = pod_security | own
    capabilities = own.get("capabilities", {})
    rules = {
        "privileged": not own.get("privileged", False),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
        "runAsNonRoot": merged.get("runAsNonRoot") is True,
        "runAsUser": merged.get("runAsUser") != 0,
        "seccompProfile": merged.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
        "capabilities.drop": "ALL" in capabilities.get("drop", []),
        "capabilities.add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
        "procMount": own.get("procMount", "Default") == "Default",
        "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
        "appArmor": merged.get("appArmorProfile", {}).get("type", "RuntimeDefault") in ("RuntimeDefault", "Localhost"),
    }
    yield from (name for name, kept in rules.items() if not kept)
