"""From an object and the settings to a fleet: memory by the plan, step times by what is known of GPU and model."""

from typing import Any

import pytest

from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.commands import inputs
from llmfleet.sim.profiles import PROFILES
from llmfleet.sim.scenario import Scenario, ScenarioError, scenario
from llmfleet.sim.spec import Startup

SETTINGS = inputs.settings(None)
LLAMA_8B, LLAMA_70B = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"


def made(model: str, gpu: str, tp: int = 1, *, scaling: dict[str, Any] | None = None, **engine: object) -> Scenario:
    spec = {
        "model": {"source": model},
        "engine": {"maxModelLen": 8192} | engine,
        "gpu": {"profile": gpu, "tensorParallelSize": tp},
        "drain": {"timeoutSeconds": 77},
    }
    if scaling is not None:
        spec["scaling"] = scaling
    deployment = LLMDeployment.parse({"metadata": {"name": "x", "namespace": "d"}, "spec": spec})
    return scenario(deployment, SETTINGS, startup=Startup(42.0, 0.0))


@pytest.mark.parametrize(
    ("profile", "model", "gpu", "sizes", "quantization"),
    [
        ("h200-8b", LLAMA_8B, "h200-141gb", (1, 2, 4), None),
        ("h100-8b", LLAMA_8B, "h100-80gb", (1, 2, 4), None),
        ("a100-40g-8b", LLAMA_8B, "a100-40gb", (1,), None),
        ("h100-70b-fp8", LLAMA_70B, "h100-80gb", (2, 4, 8), "fp8"),
        ("h200-70b-fp8", LLAMA_70B, "h200-141gb", (1, 2, 4, 8), "fp8"),
    ],
)
def test_a_known_engine_has_its_own_step_times(
    *, profile: str, model: str, gpu: str, sizes: tuple[int, ...], quantization: str | None
) -> None:
    for tp in sizes:
        found = made(model, gpu, tp, quantization=quantization)
        assert found.fleet.step_time == PROFILES[profile].step_time(tp)
        assert found.step_source.startswith("kept")
        assert found.fleet.gpus_per_replica == tp


@pytest.mark.parametrize(
    ("model", "gpu", "quantization"),
    [
        (LLAMA_8B, "a100-80gb", None),
        (LLAMA_8B, "l40s", None),
        (LLAMA_8B, "h200-141gb", "fp8"),
        ("Qwen/Qwen3-0.6B", "h200-141gb", None),
    ],
)
def test_another_has_estimated_ones(*, model: str, gpu: str, quantization: str | None) -> None:
    """Another GPU, another type of weights, another size."""
    assert made(model, gpu, quantization=quantization).step_source.startswith("estimated")


def test_an_estimate_is_near_what_was_measured() -> None:
    """Qwen3-8B is almost as large as Llama-3-8B: each coefficient within a third of the H200's fit."""
    found, known = made("Qwen/Qwen3-8B", "h200-141gb").fleet.step_time, PROFILES["h200-8b"].step_time(1)
    assert found.alpha_ms == pytest.approx(known.alpha_ms, rel=0.33)
    assert found.beta_ms == pytest.approx(known.beta_ms, rel=0.33)
    assert found.gamma_ms == pytest.approx(known.gamma_ms, rel=0.33)


def test_everything_else_is_the_objects() -> None:
    found = made(LLAMA_8B, "h200-141gb", scaling={"minReplicas": 2, "maxReplicas": 5, "objective": "Latency"})
    fleet, config = found.fleet, found.rule().config
    assert (fleet.min_replicas, fleet.max_replicas, fleet.first_replicas) == (2, 5, 2)
    assert (fleet.startup, fleet.drain_seconds, fleet.max_model_len) == (Startup(42.0, 0.0), 77, 8192)
    assert (fleet.limits.max_num_seqs, fleet.limits.max_num_batched_tokens) == (1024, 8192)
    assert fleet.limits.blocks * 16 == pytest.approx(0.9 / 0.92 * 920_192, rel=0.02)
    assert (config.min_replicas, config.max_replicas, config.targets.ttft) == (2, 5, 1.0)
    assert found.price_per_hour == 4.0


def test_what_another_autoscaler_would_do_is_not_pretended() -> None:
    found = made(LLAMA_8B, "h200-141gb", scaling={"mode": "HPA", "maxReplicas": 5})
    assert "simulated as builtin is the operator's own" in found.notes[0]


def test_what_does_not_fit_is_not_simulated() -> None:
    with pytest.raises(ScenarioError, match="does not fit"):
        made(LLAMA_70B, "l4")
