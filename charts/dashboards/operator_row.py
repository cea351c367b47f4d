"""The row of the fleet's dashboard about the operator itself."""

from charts.dashboards.panels import BYTES, PER_SECOND, SECONDS, Query, Row, graph, stat
from charts.dashboards.queries import RATE, rate

OPERATOR = Row(
    "Operator",
    (
        stat(
            "Leaders",
            "Operator pods that hold the Lease: one. None for a few seconds after a crash.",
            Query("sum (llmfleet_leader)"),
            width=4,
            steps=((0, "red"), (1, "green"), (2, "red")),
        ),
        stat(
            "Version",
            "Pods by version; two versions during an upgrade.",
            Query("count by (version) (llmfleet_build_info)", "{{version}}"),
            width=4,
        ),
        stat(
            "Objects that wait",
            "LLMDeployments that are due for a pass. Above zero for long: the operator is behind.",
            Query("max (llmfleet_queue_depth)"),
            width=4,
            steps=((100, "orange"),),
        ),
        stat(
            "Quietest watch",
            "Seconds since the API server was heard of on the quietest watch; a minute or two is usual.",
            Query("max (llmfleet_watch_age_seconds)"),
            unit=SECONDS,
            width=4,
            decimals=0,
        ),
        stat(
            "Memory",
            "Resident memory of the largest operator pod.",
            Query("max (process_resident_memory_bytes and on (instance) llmfleet_build_info)"),
            unit=BYTES,
            width=4,
        ),
        stat(
            "CPU",
            "Cores that the operator's pods use.",
            Query("sum (rate(process_cpu_seconds_total[$__rate_interval]) and on (instance) llmfleet_build_info)"),
            width=4,
            decimals=2,
        ),
        graph(
            "Passes over objects",
            "By how they ended. Transient: the API server was away or busy; bug: an error of the operator.",
            Query("sum by (result) (rate(llmfleet_reconcile_total[$__rate_interval]))", "{{result}}"),
            unit=PER_SECOND,
            width=6,
        ),
        graph(
            "Duration of a pass",
            "Most of it is the API server's.",
            *tuple(
                Query(
                    f"histogram_quantile({share}, sum by (le) (rate(llmfleet_reconcile_seconds_bucket{RATE})))",
                    f"p{100 * share:.0f}",
                )
                for share in (0.5, 0.99)
            ),
            unit=SECONDS,
            width=6,
        ),
        graph(
            "Writes to the API server",
            "By verb and resource. Nothing changes: nothing is written.",
            Query(
                "sum by (verb, resource) (rate(llmfleet_api_writes_total[$__rate_interval]))", "{{verb}} {{resource}}"
            ),
            unit=PER_SECOND,
            width=6,
        ),
        graph(
            "Looks at engines",
            "Looks at engines' metrics by result: ok, or the kind of error.",
            Query(rate("llmfleet_scrapes_total", by="result"), "{{result}}"),
            unit=PER_SECOND,
            width=6,
        ),
    ),
)
