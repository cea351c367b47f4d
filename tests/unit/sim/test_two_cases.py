"""The two loads that tell scaling signals apart, measured on an H200: KV usage is blind to one, the queue to the other.

Five minutes of a load that one replica carries well, then for twenty minutes more than it can; a start takes two
minutes. What one replica alone shows is in test_overload.py, the same two cases on a whole node in
tests/node/stories/test_two_cases.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from llmfleet.api.v1alpha1 import ScalingSpec
from llmfleet.scaling.config import ScalingConfig
from llmfleet.sim.fleet import FleetSpec, simulate
from llmfleet.sim.ours import Ours
from llmfleet.sim.outcome import Outcome, Slo
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.catalogue import PEERS
from llmfleet.sim.peers.hpa import Hpa, PodsMetric
from llmfleet.sim.peers.pages import waiting
from llmfleet.sim.rule import Rule
from llmfleet.sim.trace_made import Draw, poisson
from tests.unit.sim import h200
from tests.unit.sim.test_overload import REASONING, lengths

MOST = 4
BOUNDS = Bounds(1, MOST)
SPEC = FleetSpec(limits=h200.OPEN_LOOP_LIMITS, step_time=h200.STEP_TIME, max_replicas=MOST, max_model_len=9_500)
STEP, END = 300.0, 1500.0
SLO = Slo(ttft=2.0, itl=0.1)


@dataclass(frozen=True)
class Case:
    """A load, in requests a second."""

    lengths: Draw
    before: float
    after: float

    def play(self, rule: Rule) -> Outcome:
        rates = [(0.0, self.before), (STEP, self.after)]
        return simulate(SPEC, poisson(rates, span=END, lengths=self.lengths, seed=7), rule)


PREFILL = Case(lengths("coding"), 9.0, 1.1 * 19.2)
DECODE = Case(REASONING, 4.2, 7.0)


def ours() -> Rule:
    return Ours(ScalingConfig.from_spec(ScalingSpec(min_replicas=1, max_replicas=MOST)))


def peer(name: str) -> Callable[[], Rule]:
    return lambda: PEERS[name].rule(BOUNDS)


def served(outcome: Outcome, *, since: float = STEP) -> float:
    """Share of the requests that came since then and were served in time."""
    return outcome.attainment(SLO, start=since, end=END)


def first_up(outcome: Outcome) -> float:
    """When a second replica was asked for; never: infinity."""
    ups = (later.at for earlier, later in pairwise(outcome.changes) if later.replicas > earlier.replicas)
    return next(ups, float("inf"))


def kv_at(outcome: Outcome, time: float) -> float:
    """KV usage of the fullest replica in the sample before that time."""
    return next(sample.kv_max for sample in reversed(outcome.samples) if sample.at <= time)


@pytest.mark.parametrize("name", ["hpa-kv-70", "hpa-kv-50"])
def test_kv_usage_alone_never_sees_a_load_that_waits_for_prefill(name: str) -> None:
    """Usage stays far below every usual target, so one replica is left alone with a queue that grows for ever."""
    outcome = PREFILL.play(peer(name)())
    assert first_up(outcome) == float("inf")
    assert max(sample.kv_max for sample in outcome.samples) < 0.4
    queues = [sample.waiting for sample in outcome.samples if sample.at >= STEP][::20]
    assert all(later > earlier for earlier, later in pairwise(queues))
    assert queues[-1] > 1000
    assert served(outcome) < 0.1


@pytest.mark.parametrize(
    "queue_only",
    [
        pytest.param(lambda: Hpa(BOUNDS, [PodsMetric(waiting, 4.0)]), id="hpa-waiting-4"),
        pytest.param(peer("keda-waiting"), id="keda-waiting-5"),
        pytest.param(peer("kaito"), id="kaito"),
    ],
)
def test_the_queue_alone_sees_long_answers_only_when_the_cache_is_full(queue_only: Callable[[], Rule]) -> None:
    """Four minutes and more after the step nothing waits; then everything does, and a start still takes its time."""
    outcome = DECODE.play(queue_only())
    assert first_up(outcome) > STEP + 240
    assert kv_at(outcome, first_up(outcome)) > 0.97
    full = next(sample.at for sample in outcome.samples if sample.kv_max > 0.95)
    assert max(sample.waiting for sample in outcome.samples if sample.at < full) <= 2
    assert served(outcome) < 0.9


def test_ours_sees_a_load_that_waits_for_prefill_at_once() -> None:
    """What comes while the second replica starts has to wait; nothing that comes later does."""
    outcome = PREFILL.play(ours())
    assert first_up(outcome) < STEP + 60
    assert served(outcome, since=STEP + 240) > 0.99


def test_ours_sees_long_answers_before_the_cache_is_full() -> None:
    """The work of what arrives shows in neither gauge yet: the second replica is there in time for every request."""
    outcome = DECODE.play(ours())
    assert first_up(outcome) < STEP + 120  # rules on the queue: after 240 s and more
    assert max(sample.kv_max for sample in outcome.samples) < 0.9
    assert served(outcome) > 0.99
