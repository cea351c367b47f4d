"""What every cluster can do, whoever started it: kubectl, helm, apply, rights of a service account."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import processes
from tests.cluster.paths import binary, binary_folder

Manifest = Mapping[str, Any]


def search_path() -> str:
    """The PATH with the built binaries first: kubectl and helm of the versions tested with."""
    return f"{binary_folder()}:{os.environ.get('PATH', os.defpath)}"


class Cluster:
    """A running cluster, reached through a kubeconfig file."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig = kubeconfig
        """The administrator's; works from anywhere on this machine."""
        self.folder = folder
        """Scratch space that goes with the cluster."""

    @property
    def env(self) -> dict[str, str]:
        """Environment for a command that shall talk to this cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": search_path()}

    def kubectl(self, *args: str, stdin: str | None = None, timeout: float | None = None) -> str:
        """Run kubectl as administrator and return what it printed.

        Raises:
            CommandError: kubectl failed; the message has what it said.
        """
        return processes.run(["kubectl", *args], stdin=stdin, env=self.env, timeout=timeout)

    def get(self, *args: str) -> Any:
        """`kubectl get ARGS -o json`, parsed."""
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def apply(self, *manifests: Manifest | Path, namespace: str = "") -> str:
        """Apply manifests, given as dicts or as files, with server-side apply."""
        parts = [item.read_text() if isinstance(item, Path) else yaml.safe_dump(dict(item)) for item in manifests]
        scope = ["--namespace", namespace] if namespace else []
        return self.kubectl("apply", "--server-side", *scope, "-f", "-", stdin="\n---\n".join(parts))

    def apply_crd(self, path: Path) -> None:
        """Apply a CustomResourceDefinition and wait until objects of its kind can be listed.

        `kubectl wait` will not do: right after the apply the CRD may have no conditions, which it takes for an error.
        """
        self.apply(path)
        name = yaml.safe_load(path.read_text())["metadata"]["name"]
        get = [str(binary("kubectl")), f"--kubeconfig={self.kubeconfig}", "get", name, "--all-namespaces"]
        processes.wait_until(f"kind {name}", lambda: processes.succeeds(get))

    def helm(self, *args: str, timeout: float | None = None) -> str:
        """Run helm as administrator and return what it printed."""
        return processes.run(["helm", *args], env=self.env, timeout=timeout)

    def service_account_kubeconfig(self, namespace: str, name: str, *, hours: int = 24) -> Path:
        """Write a kubeconfig with the rights of a service account and no others.

        An operator that runs as a process of the test, not as a pod, gets this one, so that missing rights show.
        """
        token = self.kubectl("create", "token", name, "--namespace", namespace, f"--duration={hours}h").strip()
        document = yaml.safe_load(self.kubeconfig.read_text())
        current = next(item for item in document["contexts"] if item["name"] == document["current-context"])
        for user in document["users"]:
            if user["name"] == current["context"]["user"]:
                user["user"] = {"token": token}
        path = self.folder / f"{namespace}.{name}.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        path.chmod(0o600)
        return path
