"""Somebody's own cluster, such as one of kind or minikube, in the place of a node of ours."""

import atexit
import json
from pathlib import Path
from typing import Self

from tests.cluster import processes, state
from tests.cluster.cluster import Cluster, search_path

_KIND = "existing"


class ExistingCluster(Cluster):
    """A cluster named by a context of the user's kubeconfig. Nothing is installed into it but what is asked for."""

    def __init__(self, context: str) -> None:
        """Take over the context's address and credentials.

        Raises:
            CommandError: there is no such context.
        """
        state.sweep(_KIND)
        self.context = context
        self._state = state.StateFolder(_KIND)
        atexit.register(self._state.remove)
        view = ["kubectl", "config", "view", "--minify", "--flatten", "--raw", "--context", context]
        kubeconfig = self._state.path / "kubeconfig"
        kubeconfig.touch(0o600)
        kubeconfig.write_text(processes.run(view, env={"PATH": search_path()}))
        super().__init__(kubeconfig, self._state.path)

    def load_image(self, archive: Path) -> None:
        """Bring an image into the nodes, the way the cluster's maker offers.

        Raises:
            RuntimeError: it is neither of kind nor of minikube; push the image to a registry instead.
        """
        if self.context.startswith("kind-"):
            processes.run(["kind", "load", "image-archive", archive, "--name", self.context.removeprefix("kind-")])
        elif "minikube" in self.context:
            processes.run(["minikube", "--profile", self.context, "image", "load", archive])
        else:
            raise RuntimeError(f"no way is known to load {archive} into {self.context}; push it to a registry")

    def add_gpus(self, count: int) -> None:
        """Pretend that every node has accelerators; a kubelet's restart forgets them."""
        patch = json.dumps({"status": {"capacity": {"nvidia.com/gpu": str(count)}}})
        for node in self.select("nodes"):
            name = node["metadata"]["name"]
            self.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", patch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster as it is."""
