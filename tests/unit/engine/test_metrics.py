"""Reading vLLM's metrics: a page captured from a real engine, an old version's, and what a hostile pod may send."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from llmfleet.engine import metrics
from llmfleet.engine.metrics import EngineMetrics, PageError, parse

DATA = Path(__file__).parents[1] / "data"
REAL = (DATA / "vllm-0.32.0-metrics-idle.txt").read_text()
"""Captured from vLLM 0.32.0 (CPU build, tiny random model) after one request of 11 + 64 tokens."""
OLD = (DATA / "vllm-0.8.0-metrics.txt").read_text()
"""The names and labels of vLLM 0.8.0, written after its source: no `engine` label, the KV gauge under its old name."""


def test_real_page() -> None:
    assert parse(REAL) == EngineMetrics(
        kv_usage=0.0,
        running=0.0,
        waiting=0.0,
        waiting_for_capacity=0.0,
        preemptions=0.0,
        prompt_tokens=11.0,
        generation_tokens=64.0,
        prefix_cache_hits=0.0,
        steps=64.0,
        step_tokens=75.0,
        finished=1.0,
        gpu_blocks=8192,
        block_size=128,
        kv_size_tokens=1048576,
        kv_cache_dtype="auto",
        prefix_caching=True,
        process_start=1.79536800918e9,
        process_cpu=14.940000000000001,
    )


def test_old_page() -> None:
    found = parse(OLD)
    assert (found.kv_usage, found.running, found.waiting) == (0.4375, 12.0, 3.0)
    assert (found.finished, found.steps, found.prefix_cache_hits) == (101.0, 2400.0, 400.0)
    assert found.waiting_for_capacity is None
    assert found.kv_size_tokens is None
    assert found.kv_cache_tokens == 27500 * 16
    assert found.missing == ()


@pytest.mark.parametrize(
    ("labels", "dtype", "caching"),
    [
        (['cache_dtype="fp8",enable_prefix_caching="False"'], "fp8", False),
        (['cache_dtype="auto",enable_prefix_caching="True"', 'cache_dtype="fp8"'], None, None),
        (['enable_prefix_caching="maybe"'], None, None),
        ([f'cache_dtype="{"x" * 1000}"'], "x" * 32, None),
        ([], None, None),
    ],
)
def test_what_the_engine_states_of_its_cache(labels: list[str], dtype: str | None, caching: object) -> None:
    """Engines that do not agree state nothing; a word of a stranger is cut."""
    found = parse("".join(f"vllm:cache_config_info{{{one}}} 1.0\n" for one in labels))
    assert (found.kv_cache_dtype, found.prefix_caching) == (dtype, caching)


@pytest.mark.parametrize("page", [REAL, OLD], ids=["0.32.0", "0.8.0"])
def test_agrees_with_prometheus_client(page: str) -> None:
    """The reference parser finds the same sums for every wanted name of the page."""
    expected: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in metrics.WANTED:
                expected[sample.name] = expected.get(sample.name, 0.0) + sample.value
    series, malformed = metrics._collect(page)
    assert malformed == 0
    assert {name: sum(value for _, value in lines) for name, lines in series.items()} == expected


def page_with(**values: str) -> str:
    """A page with one series for each name; `__` stands for the colon."""
    return "".join(f'{name.replace("__", ":", 1)}{{model_name="m"}} {value}\n' for name, value in values.items())


def test_new_kv_name_wins_over_the_old_one() -> None:
    """Both are shown by vLLM 0.9.2 to 0.10.2."""
    page = page_with(vllm__gpu_cache_usage_perc="0.1", vllm__kv_cache_usage_perc="0.2")
    assert parse(page).kv_usage == 0.2


@pytest.mark.parametrize("value", ["NaN", "nan", "+Inf", "-Inf", "-0.01", "1.01", "61", "1e9"])
@pytest.mark.parametrize("name", metrics.KV_USAGE)
def test_impossible_kv_usage_is_unknown(name: str, value: str) -> None:
    found = parse(f"{name} {value}\n")
    assert found.kv_usage is None
    assert found.malformed == 0


@pytest.mark.parametrize("page", ["", "<html>no metrics here</html>", "# HELP x y\n\n\n", "\x00\x01", "{}\n{\n}\n"])
def test_absent_is_unknown_and_never_zero(page: str) -> None:
    assert parse(page) == EngineMetrics()
    assert parse(page).missing == (
        "vllm:kv_cache_usage_perc",
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
    )


def test_engines_of_one_pod() -> None:
    """Usage is that of the fullest engine; requests, counters and tokens add up; blocks are stated for all engines."""
    page = "\n".join(
        f'vllm:kv_cache_usage_perc{{engine="{i}"}} {usage}\n'
        f'vllm:num_requests_running{{engine="{i}"}} 3\n'
        f'vllm:generation_tokens_total{{engine="{i}"}} 100\n'
        f'vllm:cache_config_info{{engine="{i}",num_gpu_blocks="1000",block_size="16",kv_cache_size_tokens="8000"}} 1'
        for i, usage in enumerate(("0.25", "0.75"))
    )
    found = parse(page)
    assert (found.kv_usage, found.running, found.generation_tokens) == (0.75, 6.0, 200.0)
    assert (found.gpu_blocks, found.kv_cache_tokens) == (1000, 16000)


def test_one_engine_without_a_number_makes_the_pod_unknown() -> None:
    page = 'vllm:kv_cache_usage_perc{engine="0"} 0.2\nvllm:kv_cache_usage_perc{engine="1"} NaN\n'
    assert parse(page).kv_usage is None


def test_hostile_counts_are_clamped() -> None:
    page = page_with(
        vllm__num_requests_waiting="1e300", vllm__prompt_tokens_total="1e300", vllm__num_requests_running="-5"
    )
    found = parse(page)
    assert found.waiting == metrics.MAX_REQUESTS
    assert found.prompt_tokens == metrics.MAX_COUNT
    assert found.running is None


@pytest.mark.parametrize(
    "line",
    [
        "vllm:num_requests_waiting",
        "vllm:num_requests_waiting many",
        "vllm:num_requests_waiting 1 2 3",
        'vllm:num_requests_waiting{model_name="m" 1',
        "vllm:num_requests_waiting{} ",
    ],
)
def test_malformed_lines_are_counted_and_harm_no_other(line: str) -> None:
    found = parse(f"vllm:kv_cache_usage_perc 0.5\n{line}\nvllm:num_requests_running 2\n")
    assert (found.kv_usage, found.running, found.waiting) == (0.5, 2.0, None)
    assert found.malformed == 1


@pytest.mark.parametrize("label", ["a} 9", 'quote \\" 9', "{", "line\u2028break", "# HELP"])
def test_label_values_may_hold_anything(label: str) -> None:
    found = parse(f'vllm:num_requests_waiting{{model_name="{label}"}} 4\n')
    assert found.waiting == 4.0


def test_timestamp_and_spaces_are_allowed() -> None:
    assert parse('vllm:num_requests_waiting {engine="0"}  4 1795368009000\r\n').waiting == 4.0


def test_simulator_without_total_suffix_and_engine_label() -> None:
    """llm-d-inference-sim 0.10: no `engine` label, prefix counters without `_total`, no counters before a request."""
    page = page_with(vllm__kv_cache_usage_perc="0", vllm__num_requests_running="0", vllm__num_requests_waiting="0")
    found = parse(page + page_with(vllm__prefix_cache_hits="16"))
    assert found.missing == ()
    assert found.prefix_cache_hits == 16.0
    assert found.generation_tokens is None


@pytest.mark.parametrize("label", ["None", "-1", "1.5", "²", "9" * 40, ""])
def test_cache_config_without_a_number_is_unknown(label: str) -> None:
    found = parse(f'vllm:cache_config_info{{num_gpu_blocks="{label}",block_size="16"}} 1\n')
    assert (found.gpu_blocks, found.kv_cache_tokens) == (None, None)


def test_a_page_of_endless_series_is_refused() -> None:
    line = 'vllm:num_requests_waiting{{engine="{}"}} 1\n'
    with pytest.raises(PageError, match="4096"):
        parse("".join(line.format(i) for i in range(metrics.MAX_SERIES + 1)))


@given(
    st.text()
    | st.lists(st.sampled_from([*sorted(metrics.WANTED), "{", "}", '"', "=", " ", "\n", "1", "-"])).map("".join)
)
def test_no_text_can_raise(page: str) -> None:
    found = parse(page)
    assert found.kv_usage is None or 0.0 <= found.kv_usage <= 1.0
    assert found.waiting is None or found.waiting >= 0.0
