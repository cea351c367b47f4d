"""What the demo applies: the chart's values, two LLMDeployments, and the pod of the client. Pure."""

import json
from pathlib import Path
from typing import Any

from tests.demo.trace import Request

NAMESPACE = "llmfleet-demo"
RELEASE_NAMESPACE = "llmfleet"
MODELS = {"chat-a": "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "chat-b": "meta-llama/Llama-3.1-8B-Instruct"}
"""Both of the size that the simulated engine has."""
MAX_REPLICAS = 6
STARTUP_SECONDS = 5


def values(*, operator_image: str, engine_image: str) -> dict[str, Any]:
    """Chart values: images that are already on the node, and one GPU profile.

    Only the periods differ from a production install: four minutes stand for a day.
    """
    repository, tag = operator_image.rsplit(":", 1)
    return {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"},
        "settings": {
            "engine": {"defaultImage": engine_image, "allowedImages": [], "imagePullPolicy": "IfNotPresent"},
            "gpuProfiles": [
                {
                    "name": "l4",
                    "default": True,
                    "resourceName": "nvidia.com/gpu",
                    "memoryGiB": 22.5,
                    "computeCapability": "8.9",
                    "gpusPerNode": 1,
                    "pricePerHour": 0.8,
                    "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
                }
            ],
            "scaling": {"scrapePeriodSeconds": 2, "decisionPeriodSeconds": 2, "staleAfterSeconds": 10},
        },
    }


def llmdeployment(name: str) -> dict[str, Any]:
    """One of the two objects, short as a user would write it; the environment tells the engine which GPU to play."""
    return {
        "apiVersion": "serving.llmfleet.io/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "model": {"source": f"hf://{MODELS[name]}"},
            "engine": {
                "maxModelLen": 8192,
                "maxNumSeqs": 64,
                "env": [
                    {"name": "SIM_PROFILE", "value": "l4-8b"},
                    {"name": "SIM_GPU_MEMORY_GIB", "value": "22.03"},  # what CUDA sees of 22.5
                    {"name": "SIM_STARTUP_SECONDS", "value": str(STARTUP_SECONDS)},
                ],
            },
            "scaling": {"minReplicas": 1, "maxReplicas": MAX_REPLICAS, "scaleDownDelaySeconds": 30},
            "drain": {"timeoutSeconds": 60},
        },
    }


def plan(requests: list[Request]) -> dict[str, Any]:
    """What the client reads: where each model answers, and the requests in order."""
    return {
        "urls": {name: f"http://{name}.{NAMESPACE}.svc:8000/v1" for name in MODELS},
        "requests": [vars(request) for request in requests],
    }


def client(requests: list[Request], *, image: str) -> list[dict[str, Any]]:
    """The client's script and plan as a ConfigMap, and its pod."""
    name = "client"
    script = (Path(__file__).parent / "client.py").read_text()
    files = {"client.py": script, "plan.json": json.dumps(plan(requests))}
    metadata = {"name": name, "namespace": NAMESPACE}
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "/demo/client.py", "/demo/plan.json"],
        "env": [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [{"name": "demo", "mountPath": "/demo", "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 2000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [container],
                "volumes": [{"name": "demo", "configMap": {"name": name}}],
            },
        },
    ]


def namespace() -> dict[str, Any]:
    """The tenant's namespace, with Pod Security at its strictest."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
