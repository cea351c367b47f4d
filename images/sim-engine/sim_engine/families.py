"""The metric families of vLLM: names, types, help, labels and buckets, and the versions that have them.

`stats.py` keeps the numbers under these names, `exposition.py` writes the page. The names of 0.32.0 are those of a page
captured from it; since and until are the releases in which a name came and went.
"""

from dataclasses import dataclass
from typing import Literal

from sim_engine.versions import Version, between

REQUEST_SECONDS = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
TTFT_SECONDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
)  # fmt: skip
TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
STEP_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
FEW = (1, 2, 5, 10, 20)
PREEMPTIONS = (1, 2, 3, 4, 5, 10, 20)
FINISHED = ("stop", "length", "abort", "error", "repetition")
SOURCES = ("local_compute", "local_cache_hit", "external_kv_transfer")
CACHES = ("device", "host", "p2p", "disk", "external_unspecified")
SLEEP = ("awake", "weights_offloaded", "discard_all")

KV_USAGE = "vllm:kv_cache_usage_perc"


@dataclass(frozen=True, slots=True)
class Family:
    """One family.

    `label` with its `values` is the one beside model_name and engine; a histogram without buckets has lengths up to the
    model's; `reads` is the family whose numbers an old name shows.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    label: str = ""
    values: tuple[str, ...] = ("",)
    buckets: tuple[float, ...] = ()
    since: str | None = None
    until: str | None = None
    reads: str = ""
    engine_label: bool = True

    @property
    def stored(self) -> str:
        """The name its numbers are kept under."""
        return self.reads or self.name


def length_buckets(longest: int) -> tuple[float, ...]:
    """1, 2, 5, 10, ... up to a model's length."""
    series = (digit * 10**power for power in range(len(str(longest))) for digit in (1, 2, 5))
    return tuple(value for value in series if value <= longest)


def families(version: Version) -> tuple[Family, ...]:
    """The families one version has."""
    return tuple(family for family in _ALL if between(version, since=family.since, until=family.until))


def _flops(name: str, what: str) -> Family:
    return Family(
        f"vllm:estimated_{name}_per_gpu", "counter", f"Estimated number of {what} per GPU (for Model Flops Utilization "
        "calculations).", since="0.17.0",
    )  # fmt: skip


def _lengths(name: str, text: str, since: str | None = None) -> Family:
    return Family(f"vllm:{name}", "histogram", text, since=since)


def _seconds(name: str, text: str) -> Family:
    return Family(f"vllm:{name}_seconds", "histogram", text, buckets=REQUEST_SECONDS)


_QUERIED = "in terms of number of queried tokens."
_CACHED = "in terms of number of cached tokens."
_EXTERNAL = "from KV connector cross-instance cache sharing"

_ALL = (
    _flops("flops", "floating point operations"),
    _flops("read_bytes", "bytes read from memory"),
    _flops("write_bytes", "bytes written to memory"),
    Family("vllm:num_requests_running", "gauge", "Number of requests in model execution batches."),
    Family("vllm:num_requests_waiting", "gauge", "Number of requests waiting to be processed."),
    Family(
        "vllm:num_requests_waiting_by_reason", "gauge",
        "Number of waiting requests by reason. Reason labels: 'capacity' = waiting for scheduling capacity; 'deferred' "
        "= deferred by transient constraints (LoRA budget, KV transfer, blocked status). Sum of all reasons equals "
        "vllm:num_requests_waiting.",
        "reason", ("capacity", "deferred"), since="0.20.0",
    ),
    Family(
        "vllm:engine_sleep_state", "gauge",
        "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; weights_offloaded = "
        "1 means sleep level 1; discard_all = 1 means sleep level 2.",
        "sleep_state", SLEEP, since="0.11.1",
    ),
    Family(KV_USAGE, "gauge", "KV-cache usage. 1 means 100 percent usage.", since="0.9.2"),
    Family(
        "vllm:gpu_cache_usage_perc", "gauge", "GPU KV-cache usage. 1 means 100 percent usage.",
        until="0.10.2", reads=KV_USAGE,
    ),
    Family("vllm:prefix_cache_queries", "counter", f"Prefix cache queries, {_QUERIED}", since="0.9.2"),
    Family("vllm:prefix_cache_hits", "counter", f"Prefix cache hits, {_CACHED}", since="0.9.2"),
    Family(
        "vllm:gpu_prefix_cache_queries", "counter", f"GPU prefix cache queries, {_QUERIED}",
        until="0.10.2", reads="vllm:prefix_cache_queries",
    ),
    Family(
        "vllm:gpu_prefix_cache_hits", "counter", f"GPU prefix cache hits, {_CACHED}",
        until="0.10.2", reads="vllm:prefix_cache_hits",
    ),
    Family(
        "vllm:external_prefix_cache_queries", "counter", f"External prefix cache queries {_EXTERNAL}, {_QUERIED}",
        since="0.11.1",
    ),
    Family(
        "vllm:external_prefix_cache_hits", "counter", f"External prefix cache hits {_EXTERNAL}, {_CACHED}",
        since="0.11.1",
    ),
    Family(
        "vllm:mm_cache_queries", "counter", "Multi-modal cache queries, in terms of number of queried items.",
        since="0.11.1",
    ),
    Family(
        "vllm:mm_cache_hits", "counter", "Multi-modal cache hits, in terms of number of cached items.", since="0.11.1"
    ),
    Family("vllm:num_preemptions", "counter", "Cumulative number of preemption from the engine."),
    Family("vllm:prompt_tokens", "counter", "Number of prefill tokens processed."),
    Family(
        "vllm:prompt_tokens_by_source", "counter", "Number of prompt tokens by source.", "source", SOURCES,
        since="0.16.0",
    ),
    Family(
        "vllm:prompt_tokens_cached", "counter", "Number of cached prompt tokens (local + external).", since="0.16.0"
    ),
    Family(
        "vllm:prompt_tokens_cached_by_source", "counter",
        "Prefix-cache hit tokens by the cache tier that supplied them: device (local HBM), host (offloaded to DRAM), "
        "disk, p2p (transferred from another vLLM instance) or external_unspecified. Counted at admission; sums to "
        "vllm:prefix_cache_hits + vllm:external_prefix_cache_hits.",
        "source", CACHES, since="0.32.0",
    ),
    Family("vllm:generation_tokens", "counter", "Number of generation tokens processed."),
    Family(
        "vllm:request_success", "counter", "Count of successfully processed requests.", "finished_reason", FINISHED
    ),
    Family(
        "vllm:admission_rejections", "counter", "Number of admission attempts rejected by a queue limit, by reason.",
        "reason", ("max_num_queued_reqs", "max_num_queued_tokens"), since="0.32.0", engine_label=False,
    ),
    _lengths("request_prompt_tokens", "Number of prefill tokens processed."),
    _lengths("request_generation_tokens", "Number of generation tokens processed."),
    Family(
        "vllm:iteration_tokens_total", "histogram", "Histogram of number of tokens per engine_step.",
        buckets=STEP_TOKENS,
    ),
    _lengths("request_max_num_generation_tokens", "Histogram of maximum number of requested generation tokens."),
    Family("vllm:request_params_n", "histogram", "Histogram of the n request parameter.", buckets=FEW),
    _lengths("request_params_max_tokens", "Histogram of the max_tokens request parameter."),
    Family(
        "vllm:time_to_first_token_seconds", "histogram", "Histogram of time to first token in seconds.",
        buckets=TTFT_SECONDS,
    ),
    Family(
        "vllm:time_per_output_token_seconds", "histogram", "Histogram of time per output token in seconds.",
        buckets=TOKEN_SECONDS, until="0.11.2", reads="vllm:inter_token_latency_seconds",
    ),
    Family(
        "vllm:inter_token_latency_seconds", "histogram", "Histogram of inter-token latency in seconds.",
        buckets=TOKEN_SECONDS, since="0.10.2",
    ),
    Family(
        "vllm:request_time_per_output_token_seconds", "histogram",
        "Histogram of time_per_output_token_seconds per request.", buckets=TOKEN_SECONDS, since="0.11.0",
    ),
    _seconds("e2e_request_latency", "Histogram of e2e request latency in seconds."),
    _seconds("request_queue_time", "Histogram of time spent in WAITING phase for request."),
    _seconds("request_inference_time", "Histogram of time spent in RUNNING phase for request."),
    _seconds("request_prefill_time", "Histogram of time spent in PREFILL phase for request."),
    _seconds("request_decode_time", "Histogram of time spent in DECODE phase for request."),
    Family(
        "vllm:request_num_preemptions", "histogram", "Histogram of the number of times a request was preempted.",
        buckets=PREEMPTIONS, since="0.30.0",
    ),
    _lengths(
        "request_prefill_kv_computed_tokens",
        "Histogram of new KV tokens computed during prefill (excluding cached tokens).",
        since="0.13.0",
    ),
)  # fmt: skip
