"""What follows from one generation of an object: judged by the version that is known, or else told."""

from llmfleet.api.settings import Settings
from llmfleet.controller.reading import Known, read
from llmfleet.kube.objects import view_object
from tests.unit.controller.bodies import SETTINGS
from tests.unit.kube.bodies import llm_body

NIGHTLY = "vllm/vllm-openai:nightly"
ENGINE = {"image": NIGHTLY, "extraArgs": ["--max-num-queued-reqs=9"]}
ANY_IMAGE = SETTINGS.model_copy(update={"engine": SETTINGS.engine.model_copy(update={"allowed_images": ["*"]})})


def known(told: str = "", settings: Settings = ANY_IMAGE) -> Known:
    return read(view_object(llm_body(engine=ENGINE)), settings, told=told)


def messages(found: Known) -> str:
    return " ".join(problem.message for problem in found.problems)


def test_an_unknown_version_is_a_warning() -> None:
    assert f"The vLLM version of {NIGHTLY} is not known" in messages(known())
    assert known().desired is not None


def test_what_the_engines_tell_takes_its_place() -> None:
    assert "is not known" not in messages(known("0.32.0"))
    assert "--max-num-queued-reqs needs vLLM 0.29.0 or newer" in messages(known("0.26.0"))


def test_what_the_engines_tell_rolls_nothing() -> None:
    before, after = known().desired, known("0.32.0").desired
    assert before is not None
    assert after is not None
    assert before.inputs_hash == after.inputs_hash


def test_the_administrators_word_goes_before_the_engines() -> None:
    versions = ANY_IMAGE.engine.model_copy(update={"versions": {NIGHTLY: "0.30.0"}})
    stated = ANY_IMAGE.model_copy(update={"engine": versions})
    assert "needs vLLM" not in messages(known("0.26.0", stated))


def test_nonsense_is_not_believed() -> None:
    assert "is not known" in messages(known("latest"))
