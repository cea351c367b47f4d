"""Short ways to the objects that the tests of engine and manifests judge."""

from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment

COMMIT = "9c925d64d72725edaf899c6cb9c377fd0709d9c5"

SETTINGS = Settings.parse(
    {
        "engine": {"defaultImage": "vllm/vllm-openai:v0.32.0", "allowedImages": ["vllm/*", "own/*"]},
        "gpuProfiles": [
            {"name": "h100", "default": True, "memoryGiB": 80, "computeCapability": "9.0", "gpusPerNode": 8},
            {"name": "t4", "memoryGiB": 16, "computeCapability": "7.5", "gpusPerNode": 4},
            {"name": "cpu", "resourceName": "", "memoryGiB": 16, "gpusPerNode": 2},
        ],
    }
)


def deployment(name: str = "qwen", *, source: str = "hf://Qwen/Qwen3-8B", **spec: Any) -> LLMDeployment:
    """An LLMDeployment; `model` in the spec is added to the source."""
    model = {"source": source} | spec.pop("model", {})
    return LLMDeployment.parse({"metadata": {"name": name, "namespace": "team-a"}, "spec": {"model": model} | spec})
