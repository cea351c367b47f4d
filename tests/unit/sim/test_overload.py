"""What an H200 does beyond its capacity, as it was measured: which gauge moves, and which stays."""

from statistics import fmean

import pytest

from llmfleet.sim.fleet import FleetSpec, simulate
from llmfleet.sim.outcome import Outcome, Sample
from llmfleet.sim.rule import Timing, View
from llmfleet.sim.trace import Trace
from llmfleet.sim.trace_made import Draw, interpolated, poisson, resampled
from tests.unit.sim import h200

SPEC = FleetSpec(limits=h200.OPEN_LOOP_LIMITS, step_time=h200.STEP_TIME, max_replicas=1, max_model_len=9_500)
REASONING = interpolated(
    (0, 1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 97.5, 100),
    (4, 9, 13, 18, 30, 61, 121, 208, 268, 410, 779, 2308, 7323, 9000, 9400),
    (30, 135, 221, 284, 385, 470, 588, 796, 1095, 1368, 1686, 3437, 5643, 8265, 9500),
)
"""Lengths of the DeepSeek-R1 day of ServeGen (Alibaba, Apache-2.0), clipped as the measured run was."""


class One:
    """One replica, whatever comes."""

    timing = Timing(period=15.0, scrape=15.0, delay=15.0)

    def decide(self, view: View) -> int:
        del view
        return 1


def lengths(name: str) -> Draw:
    return resampled(Trace.of(h200.requests(name)))


def overloaded(draw: Draw, *, rate: float, span: float) -> Outcome:
    return simulate(SPEC, poisson([(0.0, rate)], span=span, lengths=draw, seed=7), One())


def late(outcome: Outcome, start: float) -> list[Sample]:
    return [sample for sample in outcome.samples if sample.at >= start]


def test_coding_shows_a_quarter_of_the_cache_while_its_queue_grows() -> None:
    """10 % over: KV usage about a quarter and not rising, two more in the queue each second."""
    seen = late(overloaded(lengths("coding"), rate=19.2 * 1.1, span=400.0), 100.0)
    assert 0.18 < fmean(sample.kv_mean for sample in seen) < 0.32
    assert max(sample.kv_max for sample in seen) < 0.4
    growth = (seen[-1].waiting - seen[0].waiting) / (seen[-1].at - seen[0].at)
    assert growth == pytest.approx(2.0, abs=1.2)


def test_chat_fills_the_cache_and_then_the_queue() -> None:
    """11 % over: KV 0.99, 744 running, ITL 142 ms, four more in the queue each second."""
    outcome = overloaded(lengths("chat"), rate=23.9 * 1.11, span=400.0)
    seen = late(outcome, 150.0)
    assert fmean(sample.kv_mean for sample in seen) > 0.97
    assert fmean(sample.running for sample in seen) == pytest.approx(744, rel=0.1)
    assert outcome.itl_quantile(0.5) * 1000 == pytest.approx(142, rel=0.1)
    growth = (seen[-1].waiting - seen[0].waiting) / (seen[-1].at - seen[0].at)
    assert growth == pytest.approx(4.0, abs=2.0)


def test_reasoning_keeps_its_queue_empty_until_the_cliff() -> None:
    """17 % over: for two minutes the queue stays empty while KV climbs from 0.66 to 0.86, then the cache is full."""
    outcome = overloaded(REASONING, rate=7.0, span=900.0)
    start = next(sample.at for sample in outcome.samples if sample.kv_mean >= 0.66)
    seen = [sample for sample in outcome.samples if start <= sample.at <= start + 120]
    assert max(sample.waiting for sample in seen[:-2]) <= 8
    assert seen[-1].kv_mean > 0.78
    assert seen[-1].running > seen[0].running
    assert outcome.samples[-1].kv_mean > 0.97
    assert outcome.samples[-1].waiting > 100
