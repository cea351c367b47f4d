"""The expressions of both dashboards: one value for each LLMDeployment, whichever pod of the operator leads.

$namespace and $deployment are variables; Grafana puts a regular expression there where several are chosen.
"""

from charts.dashboards.panels import Query

RATE = "[$__rate_interval]"
CHOSEN = 'namespace=~"$namespace", name=~"$deployment"'
ENGINES = '{namespace="$namespace", llmfleet_io_deployment="$deployment"}'
"""Engines' own series need the labels that the chart's PodMonitor gives them."""
QUANTILES = (0.5, 0.95, 0.99)


def each(metric: str, *matchers: str, by: str = "") -> str:
    """A figure of each chosen object, and of each value of the labels `by`.

    The largest over the operator's pods: the leader alone has the series, and two for a moment when it changes.
    """
    return f"max by ({_labels(by)}) ({metric}{{{', '.join((CHOSEN, *matchers))}}})"


def replicas(state: str) -> str:
    """Replicas in a state, of each chosen object."""
    return each("llmfleet_replicas", f'state="{state}"')


def rate(counter: str, *, by: str = "") -> str:
    """A counter of the chosen objects per second."""
    return f"{_sum(by)} (rate({counter}{{{CHOSEN}}}{RATE}))"


def last_hour(counter: str, *, by: str = "") -> str:
    """What a counter of the chosen objects has gained in an hour."""
    return f"{_sum(by)} (increase({counter}{{{CHOSEN}}}[1h]))"


def cost_of_tokens(over: str) -> str:
    """US dollars for a million tokens: everything that was paid for in a time, over all tokens of it.

    Sums of samples, which both have at the same moments; of objects that have a price.
    """
    cost, tokens = (
        f"sum by (namespace, name) (sum_over_time({metric}{{{CHOSEN}}}[{over}]))"
        for metric in ("llmfleet_cost_usd_per_hour", "llmfleet_tokens_per_second")
    )
    return f"1e6 / 3600 * sum ({cost}) / (sum ({tokens} and on (namespace, name) {cost}) > 0)"


def engines(counter: str, *, by: str = "") -> str:
    """A counter of all engines of one object per second."""
    return f"{_sum(by)} (rate({counter}{ENGINES}{RATE}))"


def quantile(share: float, *histograms: str) -> str:
    """A quantile over all replicas, of the first of the histograms that there is."""
    buckets = " or ".join(engines(f"{name}_bucket", by="le") for name in histograms)
    return f"histogram_quantile({share}, {buckets})"


def quantiles(*histograms: str) -> tuple[Query, ...]:
    """The usual three."""
    return tuple(Query(quantile(share, *histograms), f"p{100 * share:.0f}") for share in QUANTILES)


def _labels(by: str) -> str:
    return f"namespace, name, {by}" if by else "namespace, name"


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"
