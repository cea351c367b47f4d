"""Somebody's own cluster, such as one of kind or minikube, in the place of a node of ours."""

import atexit
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.cluster import build, go_tools, images, processes, state
from tests.cluster.cluster import Cluster, search_path

_KIND = "existing"


class ExistingCluster(Cluster):
    """A cluster named by a context of the user's kubeconfig. Nothing is installed into it but what is asked for."""

    def __init__(self, context: str) -> None:
        """Take over the context's address and credentials.

        Raises:
            CommandError: there is no such context.
        """
        build.ensure(go_tools.CLIENT)
        state.sweep(_KIND)
        self.context = context
        self._pretending: list[str] = []
        self._state = state.StateFolder(_KIND)
        atexit.register(self._state.remove)
        view = ["kubectl", "config", "view", "--minify", "--flatten", "--raw", "--context", context]
        kubeconfig = self._state.path / "kubeconfig"
        kubeconfig.touch(0o600)
        kubeconfig.write_text(processes.run(view, env={"PATH": search_path()}))
        super().__init__(kubeconfig, self._state.path)

    def prepare(self, names: Sequence[str], *, gpus: int) -> None:
        """Bring images and pretended GPUs into a cluster of kind or minikube; of any other, say what it has to have.

        Args:
            names: of the images, as `images.archive` knows them.
            gpus: how many each node shall have if none has any.
        """
        if not self.is_local:
            print(f"{self.context}: its nodes must be able to run {', '.join(names)}, and have {gpus} nvidia.com/gpu")
            return
        for name in names:
            self.load_image(images.archive(name))
        if not any("nvidia.com/gpu" in node["status"]["capacity"] for node in self.select("nodes")):
            self._add_gpus(gpus)

    def restore(self) -> None:
        """Take away the GPUs that `prepare` pretended. Images stay on the nodes."""
        while self._pretending:
            self._set_gpus(self._pretending.pop(), None)

    @property
    def is_local(self) -> bool:
        """Whether it is one of kind or minikube, made to be tried things on."""
        return self.context.startswith("kind-") or "minikube" in self.context

    def load_image(self, archive: Path) -> None:
        """Bring an image into a cluster of kind or minikube, from an archive that `images.build` made."""
        if self.context.startswith("kind-"):
            processes.run(["kind", "load", "image-archive", archive, "--name", self.context.removeprefix("kind-")])
        else:
            processes.run(["minikube", "--profile", self.context, "image", "load", archive])

    def _add_gpus(self, count: int) -> None:
        """Pretend that every node has accelerators; a kubelet's restart forgets them."""
        for node in self.select("nodes"):
            self._set_gpus(node["metadata"]["name"], str(count))
            self._pretending.append(node["metadata"]["name"])

    def _set_gpus(self, node: str, count: str | None) -> None:
        numbers = {"nvidia.com/gpu": count}
        patch = {"status": {"capacity": numbers, "allocatable": numbers}}
        path = f"/api/v1/nodes/{node}/status"
        self.api.request("PATCH", path, body=patch, content_type="application/merge-patch+json")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster as it is."""
