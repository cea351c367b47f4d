"""From pages to rates: resets, gaps, old and frozen data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling.signals import FLOW_WINDOW, PodSignals, Quality, read
from llmfleet.scaling.track import MAX_SAMPLES, RATE_WINDOW, Sample, observe
from tests.unit.scaling.builders import page, track

STALE = 20.0


def at(time: float, *pages: tuple[float, EngineMetrics]) -> PodSignals:
    return read(track(*pages), now=time, stale_after=STALE)


def test_rates_are_change_over_time() -> None:
    found = at(
        10,
        (0, page(prompt_tokens=100, generation_tokens=50, steps=10, finished=1, preemptions=0, prefix_cache_hits=0)),
        (10, page(prompt_tokens=300, generation_tokens=150, steps=60, finished=3, preemptions=1, prefix_cache_hits=64)),
    )
    assert (found.prompt_rate, found.generation_rate, found.step_rate) == (20, 10, 5)
    assert (found.finish_rate, found.preemption_rate, found.prefix_hit_rate) == (0.2, 0.1, 6.4)


def test_one_page_gives_gauges_and_no_rates() -> None:
    found = at(0, (0, page(kv_usage=0.5, running=3, waiting=2, generation_tokens=1000)))
    assert (found.quality, found.kv, found.running, found.waiting) == (Quality.FRESH, 0.5, 3, 2)
    assert found.generation_rate is None
    assert found.queue_growth is None


@pytest.mark.parametrize("field", ["prompt_tokens", "generation_tokens", "steps", "finished", "preemptions"])
def test_a_counter_that_falls_is_a_restart(field: str) -> None:
    """No rate right after it, and the next rate knows only the new process."""
    before, reset, after = page(**{field: 900.0}), page(**{field: 10.0}), page(**{field: 60.0})
    assert at(5, (0, before), (5, reset)).step_rate is None
    assert len(track((0, before), (5, reset), (10, after)).samples) == 2


def test_rate_after_a_restart() -> None:
    found = at(15, (0, page(steps=900)), (5, page(steps=1000)), (10, page(steps=10)), (15, page(steps=60)))
    assert found.step_rate == 10


def test_another_process_start_is_a_restart_although_counters_grow() -> None:
    found = at(5, (0, page(steps=10, process_start=1000.0)), (5, page(steps=400, process_start=1200.0)))
    assert found.step_rate is None


def test_counters_that_appear_late_have_a_rate_from_then_on() -> None:
    """Some simulators show no counter before the first request."""
    assert at(5, (0, page()), (5, page(generation_tokens=10))).generation_rate is None
    assert at(10, (0, page()), (5, page(generation_tokens=10)), (10, page(generation_tokens=20))).generation_rate == 2


def test_old_data_is_unknown() -> None:
    pages = ((0.0, page(kv_usage=0.9, waiting=7)),)
    assert at(STALE, *pages).quality is Quality.FRESH
    stale = at(STALE + 0.1, *pages)
    assert (stale.quality, stale.kv, stale.waiting) == (Quality.STALE, None, None)


def test_never_seen_is_missing() -> None:
    assert read(None, now=0, stale_after=STALE).quality is Quality.MISSING


def test_a_page_without_a_gauge_is_missing_by_name_and_keeps_what_it_has() -> None:
    found = at(0, (0, EngineMetrics(running=1, waiting=9)))
    assert (found.quality, found.missing) == (Quality.MISSING, ("vllm:kv_cache_usage_perc",))
    assert (found.kv, found.queue) == (None, 9)


def busy(steps: float) -> EngineMetrics:
    return page(kv_usage=0.4, running=5, steps=steps, prompt_tokens=100, generation_tokens=100, finished=1)


def test_same_counters_with_requests_in_flight_are_frozen() -> None:
    pages = [(5.0 * i, busy(7)) for i in range(6)]
    assert at(20, *pages[:5]).quality is Quality.FRESH
    frozen = at(25, *pages)
    assert (frozen.quality, frozen.kv, frozen.heartbeat.silent_seconds) == (Quality.FROZEN, 0.4, 25)
    assert (frozen.heartbeat.steps, frozen.heartbeat.in_flight) == (7, 5)


def test_a_moving_counter_thaws() -> None:
    found = at(30, *((5.0 * i, busy(7)) for i in range(6)), (30, busy(8)))
    assert (found.quality, found.heartbeat.silent_seconds) == (Quality.FRESH, 0)


def test_a_queue_without_running_requests_can_be_frozen() -> None:
    """A wedged engine was seen with 0 running."""
    found = at(30, *((5.0 * i, page(waiting=3, steps=7)) for i in range(7)))
    assert found.quality is Quality.FROZEN


@pytest.mark.parametrize("idle", [page(steps=7), page(running=5)], ids=["nothing in flight", "no counters to judge by"])
def test_what_cannot_be_frozen(idle: EngineMetrics) -> None:
    assert at(30, *((5.0 * i, idle) for i in range(7))).quality is Quality.FRESH


def test_queue_is_what_waits_for_capacity_where_that_is_known() -> None:
    assert at(0, (0, page(waiting=9))).queue == 9
    assert at(0, (0, page(waiting=9, waiting_for_capacity=2))).queue == 2


def test_growth_looks_at_the_last_seconds_only() -> None:
    """A queue that was flat for a minute and grows by 4/s now grows by 4/s."""
    pages = [(5.0 * i, page(waiting=0)) for i in range(11)] + [(55.0, page(waiting=20)), (60.0, page(waiting=40))]
    assert at(60, *pages).queue_growth == 4
    assert FLOW_WINDOW < 15


def test_the_shortest_queue_of_the_last_seconds() -> None:
    """Long ago does not count, and one look is no while."""
    queues = [0, 9, 0, 3, 5, 4]
    assert at(25, *((5.0 * i, page(waiting=n)) for i, n in enumerate(queues))).queue_least == 3
    assert at(0, (0, page(waiting=9))).queue_least is None


def test_preemption_is_sustained_when_it_goes_on() -> None:
    counts = [0, 0, 3, 3, 3]
    assert not at(20, *((5.0 * i, page(preemptions=n)) for i, n in enumerate(counts))).preempting
    counts = [0, 0, 3, 3, 4]
    assert at(20, *((5.0 * i, page(preemptions=n)) for i, n in enumerate(counts))).preempting


def test_memory_is_bounded() -> None:
    found = track(*((0.01 * i, page(steps=i)) for i in range(3 * MAX_SAMPLES)))
    assert len(found.samples) <= MAX_SAMPLES
    slow = track(*((5.0 * i, page(steps=i)) for i in range(100)))
    assert slow.samples[-1].at - slow.samples[0].at <= RATE_WINDOW


def test_a_sample_out_of_order_is_ignored() -> None:
    first = track((5, page(steps=5)))
    assert observe(first, Sample(5, page(steps=9))) is first
    assert observe(first, Sample(4, page(steps=9))) is first


counts = st.none() | st.integers(0, 5).map(float)


@given(
    st.lists(
        st.builds(
            EngineMetrics,
            kv_usage=st.sampled_from([None, 0.5]),
            running=st.sampled_from([None, 0.0, 1.0]),
            waiting=st.just(0.0),
            steps=counts,
            finished=counts,
            process_start=st.sampled_from([None, 1000.0, 2000.0]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_rates_of_counters_are_never_negative(pages: list[EngineMetrics]) -> None:
    now = 5.0 * (len(pages) - 1)
    found = at(now, *((5.0 * i, metrics) for i, metrics in enumerate(pages)))
    assert all(rate is None or rate >= 0 for rate in (found.step_rate, found.finish_rate))
    assert (found.quality is Quality.MISSING) == bool(pages[-1].missing)
