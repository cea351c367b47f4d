"""The dashboard of one LLMDeployment: memory and queue, latency, throughput, replicas, cost and health."""

from charts.dashboards.autoscaler_panels import decisions, held
from charts.dashboards.engines import LATENCY, MEMORY, THROUGHPUT, TTFT
from charts.dashboards.panels import (
    DOLLARS,
    PER_SECOND,
    PERCENT,
    SECONDS,
    TOKENS_PER_SECOND,
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
    graph,
    stat,
)
from charts.dashboards.queries import each, last_hour, quantile, rate, replicas

NOW = Row(
    "Now",
    (
        stat(
            "Ready replicas",
            "Replicas that answer requests.",
            Query(replicas("ready")),
            steps=((0, "red"), (1, "green")),
        ),
        stat(
            "KV cache",
            "Mean usage of the replicas.",
            Query(each("llmfleet_kv_cache_usage_ratio")),
            unit=PERCENT,
            limits=(0, 1),
            steps=((0, "green"), (0.8, "orange"), (0.95, "red")),
        ),
        stat("Waiting", "Requests in the queues of all replicas.", Query(each("llmfleet_requests_waiting"))),
        stat(
            "TTFT p95",
            "Time to first token: 95 % of the requests were faster.",
            Query(quantile(0.95, *TTFT)),
            unit=SECONDS,
        ),
        stat(
            "Tokens, last minute",
            "Prompt and generation tokens per second, mean of the last minute, as the operator sees them.",
            Query(f"sum ({each('llmfleet_tokens_per_second', by='kind')})"),
            unit=TOKENS_PER_SECOND,
            decimals=0,
        ),
        stat(
            "GPUs",
            "GPUs of pods that hold a place: serving, starting or draining.",
            Query(f"sum ({each('llmfleet_gpus', by='profile')})"),
        ),
        stat(
            "Cost per hour",
            "Price of those pods; unknown where the GPU profile has none.",
            Query(each("llmfleet_cost_usd_per_hour")),
            unit=DOLLARS,
            decimals=2,
        ),
        stat(
            "Last start",
            "From container start to Ready of the replica that became ready last.",
            Query(each("llmfleet_last_startup_seconds")),
            unit=SECONDS,
        ),
    ),
)
REPLICAS = Row(
    "Replicas",
    (
        graph(
            "Replicas",
            "Wanted and ready, what the load asks for before the bounds, and the bounds.",
            Query(replicas("wanted"), "wanted"),
            Query(replicas("ready"), "ready"),
            Query(each("llmfleet_scaling_asked_replicas"), "asked for"),
            Query(each("llmfleet_scaling_bound_replicas", by="bound"), "{{bound}}"),
        ),
        decisions("Decisions by reason", "Decisions of the built-in autoscaler per second."),
        held("Share of the time for which scaling or the start was held."),
    ),
)
HEALTH = Row(
    "Health",
    (
        Panel(
            kind="table",
            title="Conditions",
            text="As `kubectl describe llm` shows them; the sentence with the remedy is there.",
            queries=(Query(each("llmfleet_condition", by="type, status, reason")),),
            columns=(("type", "Condition", "string"), ("status", "Status", "string"), ("reason", "Reason", "string")),
        ),
        graph(
            "Engines that failed",
            "In the last hour: ended before they were ready (by cause), restarted, hung, replaced.",
            Query(last_hour("llmfleet_start_failures_total", by="reason"), "start: {{reason}}"),
            *(
                Query(last_hour(metric), words)
                for metric, words in (
                    ("llmfleet_engine_restarts_total", "restarted"),
                    ("llmfleet_hung_engines_total", "hung"),
                    ("llmfleet_hung_engines_replaced_total", "hung and replaced"),
                )
            ),
        ),
        graph(
            "Looks at the engines",
            "By result: ok, or the kind of error. Without ok scaling is held.",
            Query(rate("llmfleet_scrapes_total", by="result"), "{{result}}"),
            unit=PER_SECOND,
        ),
    ),
)
DASHBOARD = Dashboard(
    uid="llmfleet-model",
    title="llmfleet / Model",
    text="One LLMDeployment: memory, queue, latency, throughput, replicas, cost and health.",
    variables=(
        Variable(name="namespace", label="Namespace", query="label_values(llmfleet_llmdeployment_info, namespace)"),
        Variable(
            name="deployment",
            label="LLMDeployment",
            query='label_values(llmfleet_llmdeployment_info{namespace="$namespace"}, name)',
        ),
    ),
    rows=(NOW, MEMORY, LATENCY, THROUGHPUT, REPLICAS, HEALTH),
    links=(("Fleet", "/d/llmfleet-fleet"),),
)
