"""The table of well-known models."""

import json
import subprocess
import sys
from importlib.resources import files

import pytest

from llmfleet.engine.models import table as models
from llmfleet.engine.models.architecture import read

TABLE = json.loads((files("llmfleet.engine.models") / "models.json").read_text(encoding="utf-8"))
ALIASES = [alias for entry in TABLE.values() for alias in entry.get("aliases", ())]


@pytest.mark.parametrize("name", TABLE)
def test_the_sizes_give_the_published_number_of_parameters(name: str) -> None:
    """A wrong number of layers or heads, a wrong width or vocabulary would move it by more than 0.5 %."""
    architecture = models.find(name)
    assert architecture is not None
    assert architecture.parameters.total == pytest.approx(models.published_parameters(name), rel=0.005)


@pytest.mark.parametrize("name", TABLE)
def test_nothing_of_an_entry_is_assumed(name: str) -> None:
    architecture = models.find(name)
    assert architecture is not None
    assert architecture.caveats == ()
    assert architecture.max_context is not None
    assert architecture.dtype in {"bfloat16", "float16"}
    assert architecture.architectures


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("meta-llama/Llama-2-70b-hf", 68_976_648_192),
        ("meta-llama/Llama-3.1-405B", 405_853_388_800),
        ("meta-llama/Llama-4-Maverick-17B-128E-Instruct", 401_583_781_376),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8_292_166_656),
        ("Qwen/Qwen3-8B", 8_190_735_360),
        ("Qwen/Qwen3-VL-30B-A3B-Instruct", 31_070_754_032),
        ("mistralai/Mixtral-8x7B-v0.1", 46_702_792_704),
        ("mistralai/Mistral-Small-3.1-24B-Instruct-2503", 24_011_361_280),
        ("deepseek-ai/DeepSeek-V3", 671_026_419_200),
        ("google/gemma-3-27b-it", 27_432_406_640),
        ("microsoft/Phi-3.5-MoE-instruct", 41_873_153_344),
        ("openai/gpt-oss-120b", 116_829_156_672),
        ("bigcode/starcoder2-15b", 15_957_889_024),
        ("CohereLabs/c4ai-command-r-plus", 103_810_674_688),
    ],
)
def test_families_are_counted_to_the_last_parameter(name: str, parameters: int) -> None:
    architecture = models.find(name)
    assert architecture is not None
    assert architecture.parameters.total == parameters


def test_the_table_is_large_and_its_names_are_unique() -> None:
    assert len(TABLE) >= 45
    spelled = [name.lower() for name in [*TABLE, *ALIASES]]
    assert len(spelled) == len(set(spelled))
    assert all(name.count("/") == 1 for name in spelled)


def test_an_entry_has_four_keys() -> None:
    """A misspelt one would be passed over in silence."""
    assert {key for entry in TABLE.values() for key in entry} == {"parameters", "config", "like", "aliases"}


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_its_entry(alias: str) -> None:
    assert models.find(alias) is not None


def test_names_are_found_in_any_case() -> None:
    found = models.find("Qwen/Qwen3-8B")
    assert found is not None
    assert models.find(" qwen/QWEN3-8b ") is found


def test_what_is_not_in_the_table_is_none() -> None:
    assert models.find("Qwen/Qwen3-9B") is None
    assert models.published_parameters("Qwen/Qwen3-9B") is None
    assert models.find("") is None


def test_the_names_are_sorted_and_without_aliases() -> None:
    assert models.names() == tuple(sorted(TABLE, key=str.lower))


def test_like_takes_the_keys_of_another_entry() -> None:
    """The quantized checkpoint of a model has its sizes, and a type of its own."""
    plain, awq = models.find("Qwen/Qwen2.5-7B-Instruct"), models.find("Qwen/Qwen2.5-7B-Instruct-AWQ")
    assert plain is not None
    assert awq is not None
    assert plain.parameters == awq.parameters
    assert (plain.dtype, awq.dtype) == ("bfloat16", "float16")
    assert (plain.quantization, awq.quantization and awq.quantization.method) == (None, "awq")


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.1-8B-Instruct", "google/gemma-3-4b-it"])
def test_the_config_of_an_entry_can_be_read_again(name: str) -> None:
    assert read(models.config(name)) == models.find(name)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("qwen3-8b", "Qwen/Qwen3-8B"),
        ("Qwen3/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("meta-lama/Llama-3.1-8B-Instuct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("mistral/Mixtral-8x7B-Instruct-v0.1", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
        ("gpt-oss-20", "openai/gpt-oss-20b"),
        ("deepseek-ai/deepseek-r1", "deepseek-ai/DeepSeek-R1"),
    ],
)
def test_a_typing_error_is_answered_with_the_name_that_was_meant(typed: str, first: str) -> None:
    assert models.suggest(typed)[0] == first
    assert len(models.suggest(typed)) <= 3


def test_what_is_like_nothing_has_no_suggestion() -> None:
    assert models.suggest("xyzzy") == ()


def test_nothing_is_read_before_it_is_asked_for() -> None:
    """`llmfleet plan` answers in half a second, and the operator starts without the table."""
    code = "from llmfleet.engine.models import table; assert not table._table.cache_info().currsize"
    subprocess.run([sys.executable, "-c", code], check=True, cwd="operator")
