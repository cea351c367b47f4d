"""The rows of the model's dashboard that rest on the engines' series. Where vLLM changed a name, both are asked for."""

from charts.dashboards.panels import DOLLARS, PER_SECOND, PERCENT, SECONDS, TOKENS_PER_SECOND, Query, Row, graph
from charts.dashboards.queries import ENGINES, cost_of_tokens, each, engines, quantile, quantiles

KV_USAGE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
PREFIX_HITS = " or ".join(
    f"{engines(f'{name}_hits_total')} / ({engines(f'{name}_queries_total')} > 0)"
    for name in ("vllm:prefix_cache", "vllm:gpu_prefix_cache")
)
TTFT = ("vllm:time_to_first_token_seconds",)
TOKEN_LATENCY = ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")
MEMORY = Row(
    "Memory and queue",
    (
        graph(
            "KV-cache usage against its target",
            "Scaling adds replicas when the mean is above the target. Single replicas differ with their requests.",
            Query(each("llmfleet_kv_cache_usage_ratio"), "mean"),
            Query(each("llmfleet_kv_cache_usage_target_ratio"), "target"),
            Query(
                " or ".join(f"max by (pod) ({name}{ENGINES})" for name in KV_USAGE),
                "{{pod}}",
            ),
            unit=PERCENT,
            limits=(0, 1),
        ),
        graph(
            "Replicas' time that requests take",
            "By the step-time model that scaling learns from the engines. Above 1 a queue will grow.",
            Query(each("llmfleet_utilization_ratio"), "utilization"),
            unit=PERCENT,
        ),
        graph(
            "Requests",
            "Of all replicas. Waiting beside an empty cache: the engine is bound by prefill or by its places.",
            Query(each("llmfleet_requests_running"), "running"),
            Query(each("llmfleet_requests_waiting"), "waiting"),
        ),
        graph(
            "Waiting by replica",
            "Uneven queues: the load is not spread evenly, or one replica is slow.",
            Query(f"sum by (pod) (vllm:num_requests_waiting{ENGINES})", "{{pod}}"),
        ),
        graph(
            "Preemptions",
            "Requests thrown out of the KV cache and computed again. Any that go on are too much.",
            Query(engines("vllm:num_preemptions_total", by="pod"), "{{pod}}"),
            unit=PER_SECOND,
        ),
        graph(
            "Prompt tokens from the prefix cache",
            "Share of the prompt tokens that did not have to be computed.",
            Query(
                PREFIX_HITS,
                "from the cache",
            ),
            unit=PERCENT,
            limits=(0, 1),
        ),
        graph(
            "KV cache: planned and measured",
            "Tokens that one replica holds. More than 10 % apart: another GPU, a shared one, or another model.",
            Query(each("llmfleet_kv_cache_tokens", by="source"), "{{source}}"),
        ),
    ),
)
LATENCY = Row(
    "Latency",
    (
        graph(
            "Time to first token",
            "What a person waits for the answer to begin; the queue is in it.",
            *quantiles(*TTFT),
            unit=SECONDS,
        ),
        graph(
            "Time between tokens",
            "The pace of the answer. Grows with the requests in a batch.",
            *quantiles(*TOKEN_LATENCY),
            unit=SECONDS,
        ),
        graph(
            "Time of whole requests, and in the queue",
            "Seen when a request ends.",
            *quantiles("vllm:e2e_request_latency_seconds"),
            Query(quantile(0.95, "vllm:request_queue_time_seconds"), "queue p95"),
            unit=SECONDS,
        ),
    ),
)
THROUGHPUT = Row(
    "Throughput",
    (
        graph(
            "Tokens",
            "Of all replicas, as the engines count them.",
            Query(engines("vllm:prompt_tokens_total"), "prompt"),
            Query(engines("vllm:generation_tokens_total"), "generation"),
            unit=TOKENS_PER_SECOND,
            stacked=True,
        ),
        graph(
            "Requests finished",
            "By how they ended; abort is a client that hung up.",
            Query(engines("vllm:request_success_total", by="finished_reason"), "{{finished_reason}}"),
            unit=PER_SECOND,
            stacked=True,
        ),
        graph(
            "Cost per million tokens",
            "Price of all pods over prompt and generation tokens: of the last minute, and of the last hour.",
            Query(each("llmfleet_cost_usd_per_million_tokens"), "last minute"),
            Query(
                cost_of_tokens("1h"),
                "last hour",
            ),
            unit=DOLLARS,
        ),
    ),
)
