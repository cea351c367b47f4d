"""What every cluster can do, whoever started it: kubectl, helm, get, apply, rights of a service account."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import api, processes
from tests.cluster.api import Api, ApiError
from tests.cluster.paths import binary_folder

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

    @cached_property
    def api(self) -> Api:
        """The API server as administrator, without a process for each request."""
        return Api(self.kubeconfig)

    def get(self, kind: str, name: str, *, namespace: str = "default") -> Any:
        """One object, with its managed fields.

        Raises:
            ApiError: there is none.
        """
        return self.api.get(api.resource(kind).path(namespace=namespace, name=name))

    def find(self, kind: str, name: str, *, namespace: str = "default") -> Any:
        """One object; None if there is none."""
        try:
            return self.get(kind, name, namespace=namespace)
        except ApiError as error:
            if api.is_absent(error):
                return None
            raise

    def select(self, kind: str, *, namespace: str = "default", labels: str = "", fields: str = "") -> list[Any]:
        """The objects of a namespace (an empty one: of all) that a label and a field selector let through."""
        query = {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        answer = self.api.get(api.resource(kind).path(namespace=namespace), **query)
        found: list[Any] = answer["items"]
        return found

    def apply(self, *manifests: Manifest, namespace: str = "default") -> list[Any]:
        """Server-side apply, as strict as kubectl's; what is stored.

        Raises:
            ApiError: one is refused; those before are applied.
        """
        return [self.api.apply(manifest, namespace=namespace) for manifest in manifests]

    def apply_crd(self, path: Path) -> None:
        """Apply a CustomResourceDefinition and wait until objects of its kind can be listed."""
        crd = yaml.safe_load(path.read_text())
        self.apply(crd)
        spec = crd["spec"]
        listing = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        processes.wait_until(f"kind {spec['names']['kind']}", lambda: self.api.answers(listing))

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
