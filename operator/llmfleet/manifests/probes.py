"""Startup, readiness and liveness of the engine.

vLLM refuses connections until the engine is initialised, so /health answering means that the model is loaded. It does
not mean that the first request will be quick: kernels may still be compiled for it. With `startup.warmup` the startup
probe therefore sends one short request from inside the container (`warmup.py`; stdlib only, and the image has python3
because vLLM is Python), and no client ever meets a cold replica. An exec probe and not a second container, because it
needs neither another image nor the API key outside the engine's container.

Liveness is patient: a saturated server has been seen to miss short deadlines while it worked (restarting it makes
things worse), and a hung engine answers /health all the same. It ends only a server that has stopped answering.
"""

from importlib.resources import files
from math import ceil
from typing import Any

from llmfleet.api.v1alpha1 import PORT, LLMDeploymentSpec
from llmfleet.engine.command import literal, served_names
from llmfleet.manifests.names import PORT_NAME

WARMUP = files(__package__).joinpath("warmup.py").read_text(encoding="utf-8")
"""The program of the startup probe."""
STARTUP_PERIOD_SECONDS = 3
WARMUP_TIMEOUT_SECONDS = 60
"""For the first request; one that takes longer is sent again."""

_HEALTH = {"path": "/health", "port": PORT_NAME}


def startup(spec: LLMDeploymentSpec, name: str) -> dict[str, Any]:
    """Succeeds once; until then neither of the others runs. Fails for good after `startup.timeoutSeconds`."""
    budget = {
        "periodSeconds": STARTUP_PERIOD_SECONDS,
        "failureThreshold": ceil(spec.startup.timeout_seconds / STARTUP_PERIOD_SECONDS),
        "successThreshold": 1,
    }
    if not spec.startup.warmup:
        return {"httpGet": _HEALTH, "timeoutSeconds": 10} | budget
    # -I and -S: neither the environment nor the image's site-packages have a say, and it starts in a few milliseconds.
    program = ["python3", "-I", "-S", "-c", WARMUP, f"127.0.0.1:{PORT}", served_names(spec, name)[0]]
    return {
        "exec": {"command": [literal(item) for item in program]},
        "timeoutSeconds": WARMUP_TIMEOUT_SECONDS,
    } | budget


def readiness() -> dict[str, Any]:
    """Takes a replica out of the Service after 15 s without an answer."""
    return {"httpGet": _HEALTH, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3, "successThreshold": 1}


def liveness() -> dict[str, Any]:
    """Starts the container anew after two minutes without an answer."""
    return {"httpGet": _HEALTH, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6, "successThreshold": 1}
