"""The other planners' formulas, as tests/bench/planners.py has them: each reproduces an example of its own project."""

from pathlib import Path

import pytest

from llmfleet.engine.memory.inputs import GIB, Setup
from tests.bench.planners import Sizes, kaito, llm_d, old_llm_d, rows, sizes_of, table
from tests.unit.engine.shapes import shape

LLAMA_8B = Sizes(weights_gib=14.96, token_bytes=131072, is_latent=False, class_name="llama")


@pytest.mark.parametrize(
    ("sizes", "memory", "ranks", "expected"),
    [
        (LLAMA_8B, 24, 1, 14848),
        (Sizes(27.51, 196608, is_latent=False, class_name="qwen2"), 24, 2, 34048),
        (Sizes(112.63, 23040, is_latent=True, class_name="mistral"), 94, 2, 761600),
    ],
)
def test_kaitos_own_examples(sizes: Sizes, memory: float, ranks: int, expected: int) -> None:
    """From its max_model_len_test.go, which rounds down to 256 tokens and used 84 % of the memory."""
    assert int(kaito(sizes, Setup(utilization=0.84, tensor_parallel=ranks), memory)) // 256 * 256 == expected


def test_llm_ds_own_example() -> None:
    """459,509 tokens for Llama-3.1-8B on an H100: its accuracy report, with the constants of then."""
    setup = Setup(utilization=0.95)
    sizes = sizes_of(shape("llama-3.1-8b"), setup)
    assert old_llm_d(sizes, setup, 80) == pytest.approx(459_509, abs=2)
    assert llm_d(sizes, setup, 80) > old_llm_d(sizes, setup, 80)


def test_their_sizes_are_read_from_the_same_shapes() -> None:
    sizes = sizes_of(shape("llama-3.1-8b"), Setup(tensor_parallel=4))
    assert (round(sizes.weights_gib, 2), sizes.token_bytes) == (14.96, 131072)
    assert sizes_of(shape("llama-3.1-8b"), Setup(kv_cache_dtype="fp8")).token_bytes == 65536
    assert sizes_of(shape("deepseek-v2-lite"), Setup()).token_bytes == 27 * 1152
    assert sizes_of(shape("deepseek-v3"), Setup()).weights_gib * GIB == pytest.approx(671e9, rel=0.02)


def test_the_readme_has_the_table() -> None:
    readme = (Path(__file__).parents[3] / "operator" / "README.md").read_text()
    assert "\n".join(table(list(rows()))) in readme, "paste what `python -m tests.bench.planners` prints"


def test_none_is_closer_to_the_published_engines() -> None:
    """The mean error over all engines is the least of the four, and no engine is off by more than 5 %."""
    found = list(rows())
    errors = [[abs(row.errors[index]) for row in found] for index in range(len(found[0].errors))]
    ours = errors[-1]
    assert sum(ours) < min(sum(theirs) for theirs in errors[:-1])
    assert max(ours) < 5
    assert list(table(found))[-1].startswith("| **worst** |")
