"""The /metrics page: the book's series as prometheus_client families, next to the process's and the HTTP server's own.

`stats.py` -> here -> `server.py`. Faults that spoil the page act here.
"""

import math
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    Summary,
    generate_latest,
)
from prometheus_client import Histogram as ClientHistogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sim_engine.families import Family
from sim_engine.faults import Faults
from sim_engine.settings import EngineConfig
from sim_engine.stats import Book
from sim_engine.versions import Version

HTTP_SECONDS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60,
)  # fmt: skip
CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"


class EngineCollector(Collector):
    """Turns the book into families when a page is asked for."""

    def __init__(
        self, book: Book, families: tuple[Family, ...], *, config: EngineConfig, version: Version, faults: Faults
    ) -> None:
        self._book = book
        self._faults = faults
        self._families = families
        self._labels = {"model_name": config.served_names[0]}
        self._engine = {"engine": "0"} if version > (0, 8, 0) else {}
        self._info = cache_config_labels(config, version) | self._engine

    def collect(self) -> Iterator[Metric]:
        """All families, NaN for every value while that fault is on."""
        for family in self._families:
            metric = Metric(family.name, family.help, family.kind)
            self._fill(metric, family)
            yield metric
        info = Metric("vllm:cache_config_info", "Information of the LLMEngine CacheConfig", "gauge")
        self._sample(info, info.name, self._info, 1.0)
        yield info

    def _fill(self, metric: Metric, family: Family) -> None:
        common = self._labels | (self._engine if family.engine_label else {})
        for value in family.values:
            labels = common | ({family.label: value} if family.label else {})
            if family.kind == "histogram":
                self._histogram(metric, family, labels, value)
                continue
            suffix = "_total" if family.kind == "counter" else ""
            self._sample(metric, family.name + suffix, labels, self._book.values[family.stored, value])
            if family.kind == "counter":
                self._sample(metric, family.name + "_created", labels, self._book.created)

    def _histogram(self, metric: Metric, family: Family, labels: dict[str, str], value: str) -> None:
        histogram = self._book.histograms[family.stored, value]
        count = 0
        for bound, here in zip((*histogram.bounds, math.inf), histogram.counts, strict=True):
            count += here
            edge = "+Inf" if bound == math.inf else str(float(bound))
            self._sample(metric, family.name + "_bucket", labels | {"le": edge}, count)
        self._sample(metric, family.name + "_count", labels, count)
        self._sample(metric, family.name + "_sum", labels, histogram.total)
        self._sample(metric, family.name + "_created", labels, self._book.created)

    def _sample(self, metric: Metric, name: str, labels: dict[str, str], value: float) -> None:
        metric.add_sample(name, labels, math.nan if self._faults.metrics == "nan" else float(value))


def cache_config_labels(config: EngineConfig, version: Version) -> dict[str, str]:
    """The labels of vllm:cache_config_info; what this engine has no notion of stands at vLLM's default."""
    memory, cache = config.memory, config.capacity
    labels: dict[str, object] = {
        "_block_size_resolved": True, "block_size": cache.block_size, "cache_dtype": memory.kv_cache_dtype,
        "cache_hit_alignment_tokens": None, "effective_attention_block_size": cache.block_size,
        "enable_mamba_shared_prefix_checkpoint": False, "enable_prefix_caching": True,
        "gpu_memory_utilization": memory.utilization, "hash_block_size": None, "is_attention_free": False,
        "kv_cache_dtype_skip_layers": [], "kv_cache_layout": None, "kv_cache_memory_bytes": memory.kv_cache_bytes,
        "kv_offloading_backend": "native", "kv_offloading_size": None, "kv_sharing_fast_prefill": False,
        "mamba_block_size": None, "mamba_cache_dtype": "auto", "mamba_cache_mode": "none",
        "mamba_page_size_padded": None, "mamba_ssm_cache_dtype": "auto", "num_cpu_blocks": None,
        "num_gpu_blocks": cache.blocks, "num_gpu_blocks_override": memory.blocks_override,
        "prefix_cache_retention_interval": 0, "prefix_caching_hash_algo": "sha256", "prefix_match_unit": None,
        "replayssm_buffer_len": 16, "skip_page_size_padded": None, "sliding_window": None, "swa_bounded_replay": True,
        "use_kda_recoverssm": False, "use_replayssm": False, "user_specified_block_size": False,
    }  # fmt: skip
    if version >= (0, 24):
        labels["kv_cache_size_tokens"] = cache.tokens
        labels["kv_cache_max_concurrency"] = round(cache.tokens / config.max_model_len, 2)
    return {name: str(value) for name, value in labels.items()}


class HttpMetrics:
    """The HTTP server's own families, as prometheus-fastapi-instrumentator names them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "http_requests_total", "Total number of requests by method, status and handler.",
            ("method", "status", "handler"), registry=registry,
        )  # fmt: skip
        self._request_size = Summary(
            "http_request_size_bytes", "Content length of incoming requests by handler. Only value of header is "
            "respected. Otherwise ignored. No percentile calculated. ", ("handler",), registry=registry,
        )  # fmt: skip
        self._response_size = Summary(
            "http_response_size_bytes", "Content length of outgoing responses by handler. Only value of header is "
            "respected. Otherwise ignored. No percentile calculated. ", ("handler",), registry=registry,
        )  # fmt: skip
        self._latency = ClientHistogram(
            "http_request_duration_highr_seconds",
            "Latency with many buckets but no API specific labels. Made for more accurate percentile calculations. ",
            registry=registry, buckets=HTTP_SECONDS,
        )  # fmt: skip
        self._latency_by_handler = ClientHistogram(
            "http_request_duration_seconds", "Latency with only few buckets by handler. Made to be only used if "
            "aggregation by handler is important. ", ("method", "handler"), registry=registry, buckets=(0.1, 0.5, 1),
        )  # fmt: skip

    def record(
        self, *, method: str, handler: str, status: int, seconds: float, request_bytes: int, response_bytes: int
    ) -> None:
        """Count one request; sizes in bytes, 0 where the header is absent."""
        self._requests.labels(method, f"{status // 100}xx", handler).inc()
        self._request_size.labels(handler).observe(request_bytes)
        self._response_size.labels(handler).observe(response_bytes)
        self._latency.observe(seconds)
        self._latency_by_handler.labels(method, handler).observe(seconds)


class Page:
    """The whole page and its faults."""

    def __init__(self, collector: EngineCollector, *, faults: Faults, log_stats: bool) -> None:
        self.registry = CollectorRegistry()
        GCCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        ProcessCollector(registry=self.registry)
        if log_stats:
            self.registry.register(collector)
        self.http = HttpMetrics(self.registry)
        self._faults = faults

    def render(self) -> bytes:
        """The page as text; the page of the moment it froze while that fault is on."""
        if self._faults.metrics != "frozen":
            self._faults.frozen_page = b""
            return generate_latest(self.registry)
        if not self._faults.frozen_page:
            self._faults.frozen_page = generate_latest(self.registry)
        return self._faults.frozen_page
