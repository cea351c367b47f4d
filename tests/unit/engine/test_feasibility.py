"""What is known against a spec from the model's shape; the sentences themselves are in tests/golden/wrong_specs."""

from typing import Any

import pytest

from llmfleet.api.conditions import Reason
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine.checks import check
from llmfleet.engine.feasibility import JUDGES
from llmfleet.engine.memory.planning import case, outlook, setup_of
from llmfleet.engine.problem import Problem, Severity
from llmfleet.engine.version import Version
from tests.golden.test_wrong_specs import SPECS, settings
from tests.unit.engine.objects import SETTINGS, deployment


def found(**spec: Any) -> list[Problem]:
    return check(deployment(**spec), SETTINGS)


def test_every_judge_finds_something_in_the_wrong_specs() -> None:
    """A new judge without a spec in tests/golden/wrong_specs fails here."""
    cases = [case(_parsed(one["spec"]), settings()) for one in SPECS]
    assert [judge.__name__ for judge in JUDGES if not any(judge(one) for one in cases)] == []


def _parsed(spec: dict[str, Any]) -> LLMDeployment:
    return LLMDeployment.parse({"metadata": {"name": "x", "namespace": "team-a"}, "spec": spec})


def test_nothing_is_refused_of_a_model_that_is_not_known() -> None:
    """Whatever the numbers: without a shape there is no plan, and the outlook says so."""
    gpu = {"profile": "t4", "tensorParallelSize": 3}
    assert found(source="team/secret-70b", gpu=gpu) == []
    seen = outlook(case(deployment(source="team/secret-70b", gpu=gpu), SETTINGS))
    assert seen.plan is None
    assert seen.message == (
        "There is no memory plan: team/secret-70b is not among the well-known models; set spec.model.architecture to "
        "one of the same shape (`llmfleet plan --models` lists them)."
    )


def test_a_typing_error_gets_a_proposal() -> None:
    seen = outlook(case(deployment(source="Qwen/Qwen3-8b-Instruct"), SETTINGS))
    assert "of the same shape, such as Qwen/Qwen3-" in seen.message


@pytest.mark.parametrize("source", ["pvc://claim/qwen", "s3://bucket/qwen", "oci://registry.example/qwen:1"])
def test_other_sources_are_planned_by_the_shape_they_name(source: str) -> None:
    seen = outlook(case(deployment(source=source), SETTINGS))
    assert seen.message.startswith("There is no memory plan: the model's shape is known for hub models only; set")
    like = outlook(case(deployment(source=source, model={"architecture": "Qwen/Qwen3-8B"}), SETTINGS))
    assert like.plan is not None


def test_no_plan_without_a_gpu() -> None:
    seen = outlook(case(deployment(gpu={"profile": "cpu"}), SETTINGS))
    assert (seen.plan, seen.message) == (None, "There is no memory plan: the profile has no GPU.")


def test_a_model_like_another_is_never_refused_for_its_memory() -> None:
    """Its checkpoint may be smaller than that of the model it is like."""
    (problem,) = found(source="team/tuned", model={"architecture": "meta-llama/Llama-3.3-70B-Instruct"})
    assert problem.severity is Severity.WARNING
    assert "does not fit on h100" in problem.message


@pytest.mark.parametrize(
    ("arguments", "less", "more"),
    [
        ([], False, False),
        (["--cpu-offload-gb=10"], True, False),
        (["--cpu_offload_gb", "10"], True, False),
        (["--kv-cache-memory-bytes=8G"], True, True),
        (["--compilation-config.cudagraph_mode=FULL"], False, True),
        (["--seed=1"], False, False),
    ],
)
def test_extra_arguments_that_change_the_memory(arguments: list[str], less: bool, more: bool) -> None:  # noqa: FBT001
    setup = setup_of(deployment(engine={"extraArgs": arguments}).spec, Version(0, 32))
    assert (setup.may_need_less, setup.may_need_more) == (less, more)


def test_whole_experts_need_not_be_split() -> None:
    """An expert of 768 columns is no multiple of FP8 blocks over four ranks; with expert parallelism it stays whole."""
    fp8 = "Qwen/Qwen3-30B-A3B-Instruct-2507-FP8"
    four = {"tensorParallelSize": 4}
    assert [one.reason for one in found(source=fp8, gpu=four)] == [Reason.TENSOR_PARALLEL_DOES_NOT_DIVIDE_HEADS]
    assert found(source=fp8, gpu=four, engine={"extraArgs": ["--enable-expert-parallel"]}) == []


def test_eager_engines_have_no_graphs() -> None:
    for argument in ("--enforce-eager", "-O0"):
        assert setup_of(deployment(engine={"extraArgs": [argument]}).spec, Version(0, 32)).eager


def test_what_may_offload_is_not_refused() -> None:
    large = "meta-llama/Llama-3.3-70B-Instruct"
    assert [one.reason for one in found(source=large)] == [Reason.DOES_NOT_FIT_MEMORY]
    (problem,) = found(source=large, engine={"extraArgs": ["--cpu-offload-gb=100"]})
    assert problem.severity is Severity.WARNING
    assert "not all that it takes is counted" in problem.message


def test_lengths_of_an_overridden_configuration_are_not_refused() -> None:
    long = {"maxModelLen": 65536}
    assert [one.reason for one in found(engine=long)] == [Reason.CONTEXT_TOO_LONG]
    (problem,) = found(engine=long | {"extraArgs": ["--hf-overrides={}"]})
    assert problem.severity is Severity.WARNING
