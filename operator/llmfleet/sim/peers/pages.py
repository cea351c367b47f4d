"""What the rules read off a fleet: a gauge of one pod, or the answer to a query over all of them."""

from collections.abc import Callable, Iterable
from statistics import fmean

from llmfleet.sim.rule import PodView, View

Gauge = Callable[[PodView], float | None]
Query = Callable[[View], float | None]


def kv_usage(pod: PodView) -> float | None:
    """`vllm:kv_cache_usage_perc`, 0..1."""
    return pod.page.kv_usage if pod.page else None


def waiting(pod: PodView) -> float | None:
    """`vllm:num_requests_waiting`."""
    return pod.page.waiting if pod.page else None


def running(pod: PodView) -> float | None:
    """`vllm:num_requests_running`."""
    return pod.page.running if pod.page else None


def prompt_tokens(pod: PodView) -> float | None:
    """`vllm:prompt_tokens_total`."""
    return pod.page.prompt_tokens if pod.page else None


def generation_tokens(pod: PodView) -> float | None:
    """`vllm:generation_tokens_total`."""
    return pod.page.generation_tokens if pod.page else None


def finished(pod: PodView) -> float | None:
    """`vllm:request_success_total`."""
    return pod.page.finished if pod.page else None


def values(gauge: Gauge, pods: Iterable[PodView]) -> list[float]:
    """The gauge of those pods that have it."""
    return [value for pod in pods if (value := gauge(pod)) is not None]


def total(gauge: Gauge) -> Query:
    """Prometheus' `sum(...)`: over whatever was scraped, pods that are going included; None where nothing was."""

    def query(view: View) -> float | None:
        found = values(gauge, view.pods)
        return sum(found) if found else None

    return query


def average(gauge: Gauge) -> Query:
    """Prometheus' `avg(...)`."""

    def query(view: View) -> float | None:
        found = values(gauge, view.pods)
        return fmean(found) if found else None

    return query
