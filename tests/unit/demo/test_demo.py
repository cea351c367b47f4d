"""The pure parts of the demo: the thinned trace, the figures, the summary."""

import pytest

from tests.demo import trace, view
from tests.demo.client import quantile
from tests.demo.model import Fleet, summarize
from tests.demo.watch import by_object


def test_the_thinned_trace_keeps_times_and_lengths_of_the_real_one() -> None:
    kept = trace.requests(["a", "b"])
    real = {tuple(line.split(",")) for line in trace.SLICE.read_text().splitlines()[1:]}
    assert {(f"{r.arrival_s:.3f}", str(r.input_tokens), str(r.output_tokens)) for r in kept} <= real
    assert [r.model for r in kept[:4]] == ["a", "b", "a", "b"]
    assert [r.arrival_s for r in kept] == sorted(r.arrival_s for r in kept)


def test_the_thinned_trace_rises_and_falls() -> None:
    kept = [r.arrival_s for r in trace.requests(["a"])]
    start, middle, end = (sum(low <= t < low + 20 for t in kept) for low in (0, 100, 200))
    assert start * 5 < middle > end * 5


@pytest.mark.parametrize(("second", "share"), [(0, 0.1), (30, 0.1), (55, 0.55), (80, 1.0), (150, 1.0), (300, 0.1)])
def test_share(second: float, share: float) -> None:
    assert trace.share(second) == pytest.approx(share)


def test_a_stretched_replay_keeps_every_request() -> None:
    assert len(trace.requests(["a"], seconds=60)) == len(trace.requests(["a"]))
    assert max(r.arrival_s for r in trace.requests(["a"], seconds=60)) <= 60


def body(replicas: int, ready: int, history: list[dict[str, object]] | None = None) -> dict[str, object]:
    scaling = {"reason": "Scaling", "message": "m", "history": history or []}
    return {"spec": {"replicas": replicas}, "status": {"replicas": ready, "readyReplicas": ready, "scaling": scaling}}


def test_summary_integrates_pods_over_time_and_compares_with_the_peak() -> None:
    fleet = Fleet("a")
    change = {"time": "2026-11-22T12:00:01Z", "from": 1, "to": 3, "reason": "Scaling", "message": "KV 92 %"}
    for now, ready in ((0.0, 1), (10.0, 3), (20.0, 1), (30.0, 1)):
        fleet.see_object(body(ready, ready, [change]), now)
    end = {"requests": 3, "errors": [], "ttft": [0.1, 0.2, 0.9], "tokens": 30}
    result = summarize([fleet], end, 30.0)
    assert result.replica_seconds == 10 * 1 + 10 * 3 + 10 * 1
    assert result.static_peak_seconds == 90
    assert (result.ttft_p50, result.ttft_p99) == (0.2, 0.9)
    assert result.decisions == ["12:00:01  a  KV 92 %"]
    assert not result.failed


@pytest.mark.parametrize(("requests", "errors"), [(0, []), (5, ["cut after 3 of 8 tokens"])])
def test_a_failed_request_or_none_at_all_fails_the_demo(requests: int, errors: list[str]) -> None:
    end = {"requests": requests, "errors": errors, "ttft": [], "tokens": 0}
    assert summarize([Fleet("a")], end, 1.0).failed


def test_only_the_demos_objects_are_read_from_the_metrics_page() -> None:
    page = (
        "# TYPE llmfleet_kv_cache_usage_ratio gauge\n"
        'llmfleet_kv_cache_usage_ratio{namespace="llmfleet-demo",name="chat-a"} 0.5\n'
        'llmfleet_kv_cache_usage_ratio{namespace="other",name="chat-a"} 0.9\n'
    )
    assert by_object(page) == {"chat-a": {"llmfleet_kv_cache_usage_ratio": 0.5}}


@pytest.mark.parametrize(
    ("values", "q", "expected"), [([], 0.5, None), ([1.0], 0.99, 1.0), ([3.0, 1.0, 2.0], 0.5, 2.0)]
)
def test_quantile(values: list[float], q: float, expected: float | None) -> None:
    assert quantile(values, q) == expected


def test_spark_shows_the_peak_at_full_height() -> None:
    drawn = view.spark([1] * 100 + [4] * 100 + [1] * 100, 4)
    assert "█" in drawn
    assert len(drawn) <= 50
    assert view.spark([], 4) == ""
