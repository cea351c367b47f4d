"""The row of the fleet's dashboard about models at zero and the activators that hold requests for them."""

from charts.dashboards.panels import COUNT, PER_SECOND, SECONDS, Query, Row, graph
from charts.dashboards.queries import CHOSEN, RATE, rate

ACTIVATORS = Row(
    "Scale to zero",
    (
        graph(
            "Requests that wait at zero",
            "Held by the activators until a replica is ready, by model.",
            Query(f"sum by (namespace, name) (llmfleet_activator_held_requests{{{CHOSEN}}})", "{{namespace}}/{{name}}"),
            unit=COUNT,
            width=6,
        ),
        graph(
            "Models woken",
            "First requests for a model without a replica.",
            Query(rate("llmfleet_activator_wakes_total", by="name"), "{{name}}"),
            unit=PER_SECOND,
            width=6,
        ),
        graph(
            "Requests refused at zero",
            "By cause. TooManyHeld, TooManyBytesHeld, NoReplicaInTime: 503, clients come again. The rest: mistakes.",
            Query(rate("llmfleet_activator_refused_total", by="reason"), "{{reason}}"),
            unit=PER_SECOND,
            width=6,
        ),
        graph(
            "Wait for a replica",
            "How long requests waited in an activator that were passed on.",
            *tuple(
                Query(
                    f"histogram_quantile({share}, sum by (le) (rate(llmfleet_activator_wait_seconds_bucket{RATE})))",
                    f"p{100 * share:.0f}",
                )
                for share in (0.5, 0.99)
            ),
            unit=SECONDS,
            width=6,
        ),
    ),
)
