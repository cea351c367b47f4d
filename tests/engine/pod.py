"""The engine's pod as the operator renders it, made fit for a process on this machine.

`template` gives what a kubelet would get. `Adapted` changes what a process outside a pod cannot have, nothing else:

| in the pod | here | why |
|---|---|---|
| the image's `vllm` and `python3` | the environment's `vllm`; this machine's Python for the probe | there is no image |
| paths below a volume's mount, in argv and env | the same below a folder of the test | no volume is mounted |
| /dev/termination-log | a file of the test, also where a downward API volume brings its name | likewise |
| `--host=0.0.0.0`, `--port=8000`, the probe's address | 127.0.0.1, a free port | nobody outside; several run |
| a Secret's value | given by the test | there is no kubelet to read it |
| PATH of the image | PATH of this machine | vLLM starts `lscpu` |
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.manifests.children import children
from tests.engine import environment

NAME = "tiny"
"""Object, served name and label of the metrics."""
SETTINGS = Settings.parse(
    {
        "engine": {"defaultImage": environment.IMAGE},
        "gpuProfiles": [{"name": "cpu", "default": True, "resourceName": "", "memoryGiB": 16}],
    }
)
BLOCKS = 64
"""KV-cache blocks, of 128 tokens each: 8,192 tokens, so that two dozen streams fill it."""
TERMINATION_LOG = "/dev/termination-log"
QUICK = ("--enforce-eager", f"--num-gpu-blocks-override={BLOCKS}")
"""No compilation, which the tiny model would not repay, and a KV cache that can be filled."""


def spec(**changes: Any) -> dict[str, Any]:
    """The spec of a tiny deployment on the profile `cpu`; `engine` is laid over its engine."""
    engine = {"gpuMemoryUtilization": 0.1, "extraArgs": list(QUICK)} | changes.pop("engine", {})
    return {"model": {"source": "pvc://models/tiny"}, "engine": engine, "drain": {"timeoutSeconds": 60}} | changes


def template(wanted: dict[str, Any]) -> dict[str, Any]:
    """The pod template of a spec, as it stands in the Deployment."""
    metadata = {"name": NAME, "namespace": "team-a", "uid": "6a1f7f3e-5b1d-4c57-9c0e-0d6f3f1b8a11"}
    head = {"apiVersion": "serving.llmfleet.io/v1alpha1", "kind": "LLMDeployment", "metadata": metadata}
    found: dict[str, Any] = children(LLMDeployment.parse(head | {"spec": wanted}), SETTINGS)[-1]["spec"]["template"]
    return found


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """A pod's command line, environment and startup probe for this machine."""

    template: dict[str, Any]
    port: int
    root: Path
    """In the place of the container's root: a volume mounted at /x is the folder x below it."""
    secrets: dict[str, str]
    """Values of the environment variables that come from Secrets."""

    @property
    def container(self) -> dict[str, Any]:
        """The engine's container, as the operator writes it."""
        found: dict[str, Any] = self.template["spec"]["containers"][0]
        return found

    @property
    def argv(self) -> list[str]:
        """Command and args."""
        words: list[str] = [*self.container["command"], *self.container["args"]]
        program, *rest = words
        return [str(environment.program(program)), *(self._here(word) for word in rest)]

    @property
    def env(self) -> dict[str, str]:
        """The whole environment."""
        variables = self.container["env"]
        plain = {item["name"]: self._here(item["value"]) for item in variables if "value" in item}
        missing = {item["name"] for item in variables if "value" not in item} ^ set(self.secrets)
        if missing:
            raise ValueError(f"the Secrets' variables are not those of the container: {sorted(missing)}")
        return plain | self.secrets | {"PATH": os.environ["PATH"]}

    @property
    def probe(self) -> list[str]:
        """The startup probe's command."""
        command: list[str] = self.container["startupProbe"]["exec"]["command"]
        return [self._here(word) for word in command]

    @property
    def termination_log(self) -> Path:
        """Where the container leaves its termination message."""
        return self._below(TERMINATION_LOG)

    def prepare(self) -> None:
        """Make the folders of the volumes, and the files that the downward API brings."""
        volumes = {volume["name"]: volume for volume in self.template["spec"]["volumes"]}
        for mount in self.container["volumeMounts"]:
            folder = self._below(mount["mountPath"])
            folder.mkdir(parents=True, exist_ok=True)
            for item in volumes[mount["name"]].get("downwardAPI", {}).get("items", []):
                name = item["fieldRef"]["fieldPath"].removeprefix("metadata.annotations['").removesuffix("']")
                text = self.template["metadata"]["annotations"][name]
                (folder / item["path"]).write_text(text.replace(TERMINATION_LOG, str(self.termination_log)))
        self.termination_log.parent.mkdir(exist_ok=True)
        self.termination_log.touch()

    def _here(self, text: str) -> str:
        for there, here in {
            "--host=0.0.0.0": "--host=127.0.0.1",
            "--port=8000": f"--port={self.port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
        }.items():
            if text == there:
                return here
        for path in (mount["mountPath"] for mount in self.container["volumeMounts"]):
            if text == path or text.startswith(f"{path}/"):
                return str(self._below(text))
        return text.replace("$$", "$")  # as the kubelet does

    def _below(self, path: str) -> Path:
        return self.root / path.removeprefix("/")
