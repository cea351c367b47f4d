"""The metrics page against the captured one of vLLM 0.32.0, and the names of older versions."""

from collections.abc import Iterable

import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import CollectorRegistry

from sim_engine.exposition import EngineCollector
from sim_engine.families import families, length_buckets
from sim_engine.faults import Faults
from sim_engine.flags import parse_serve
from sim_engine.settings import from_environment, resolve
from sim_engine.stats import Book, Histogram
from tests.engine.pages import CAPTURED, LABELS, label_values, shapes
from tests.unit.sim_engine.server import Server


@pytest.fixture(scope="module")
def page(engine: Server) -> str:
    """The page of an engine that has answered on the two routes that the captured one had answered on."""
    assert engine.get("/v1/models")[0] == 200
    assert engine.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})[0] == 200
    return engine.page()


def test_every_family_has_the_name_type_help_and_labels_of_the_real_one(page: str) -> None:
    real, ours = shapes(CAPTURED), shapes(page)
    assert set(ours) == set(real)
    for family, samples in real.items():
        assert ours[family] == samples, family


@pytest.mark.parametrize("label", LABELS)
def test_label_values_are_those_of_the_real_one(*, page: str, label: str) -> None:
    """The captured engine had a maximum length of 2,048 and the name `tiny` too."""
    assert label_values(page, label) == label_values(CAPTURED, label)


def collector(version: str) -> EngineCollector:
    sim = from_environment({"SIM_VLLM_VERSION": version})
    config = resolve(parse_serve(["org/model"], sim.parsed_version), sim)
    named = families(sim.parsed_version)
    book = Book(named, max_model_len=config.max_model_len)
    book.set("vllm:kv_cache_usage_perc", 0.25)
    return EngineCollector(book, named, config=config, version=sim.parsed_version, faults=Faults())


def samples(metrics: Iterable[Metric]) -> dict[str, dict[str, str]]:
    return {sample.name: sample.labels for metric in metrics for sample in metric.samples}


@pytest.mark.parametrize(
    ("version", "there", "absent"),
    [
        (
            "0.8.0",
            ["gpu_cache_usage_perc", "gpu_prefix_cache_queries_total", "time_per_output_token_seconds_sum"],
            ["kv_cache_usage_perc", "prefix_cache_queries_total", "inter_token_latency_seconds_sum"],
        ),
        ("0.8.5", ["gpu_cache_usage_perc"], ["kv_cache_usage_perc", "engine_sleep_state"]),
        ("0.10.2", ["gpu_cache_usage_perc", "kv_cache_usage_perc", "inter_token_latency_seconds_sum"], []),
        (
            "0.11.0",
            ["kv_cache_usage_perc", "request_time_per_output_token_seconds_sum"],
            ["gpu_cache_usage_perc", "num_requests_waiting_by_reason"],
        ),
        ("0.20.0", ["num_requests_waiting_by_reason"], ["admission_rejections_total", "request_num_preemptions_sum"]),
    ],
)
def test_names_of_older_versions(*, version: str, there: list[str], absent: list[str]) -> None:
    found = samples(collector(version).collect())
    assert {f"vllm:{name}" for name in there} <= set(found)
    assert not {f"vllm:{name}" for name in absent} & set(found)
    assert all(("engine" in labels) == (version != "0.8.0") for labels in found.values())
    has_tokens = "kv_cache_size_tokens" in found["vllm:cache_config_info"]
    assert has_tokens == (version == "0.32.0")


def test_the_old_name_shows_the_same_number() -> None:
    registry = CollectorRegistry()
    registry.register(collector("0.10.2"))
    lines = generate_latest(registry).decode().splitlines()
    assert {line.rsplit(" ", 1)[1] for line in lines if "cache_usage_perc{" in line} == {"0.25"}


@pytest.mark.parametrize(
    ("longest", "buckets"),
    [(1, (1,)), (7, (1, 2, 5)), (100, (1, 2, 5, 10, 20, 50, 100)), (199, (1, 2, 5, 10, 20, 50, 100))],
)
def test_length_buckets(*, longest: int, buckets: tuple[int, ...]) -> None:
    assert length_buckets(longest) == buckets


def test_a_histogram_counts_up_to_and_including_each_bound() -> None:
    histogram = Histogram((1, 5))
    for value, times in ((1, 2), (3, 1), (5, 1), (9, 4)):
        histogram.observe(value, times)
    assert (histogram.counts, histogram.total) == ([2, 2, 4], 46)
