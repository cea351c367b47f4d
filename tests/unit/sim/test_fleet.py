"""The fleet by worked examples: engines whose step takes one second, whatever it computes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmfleet.sim.fleet import NO_API_SERVER, ApiServer, Failures, FleetSpec, Startup, simulate
from llmfleet.sim.outcome import Outcome, Slo
from llmfleet.sim.rule import Timing, View
from llmfleet.sim.sequence import Limits
from llmfleet.sim.steptime import StepTime
from llmfleet.sim.trace import Trace

SECOND = StepTime(alpha_ms=1000, beta_ms=1e-9, gamma_ms=0, p=1)
LIMITS = Limits(blocks=1001, block_size=4, max_num_seqs=4, max_num_batched_tokens=64)
SPEC = FleetSpec(
    limits=LIMITS,
    step_time=SECOND,
    startup=Startup(60.0, 0.0),
    max_replicas=4,
    drain_seconds=30.0,
    withdrawal_seconds=0.0,
    exit_seconds=0.0,
    hold_seconds=90.0,
    api_server=NO_API_SERVER,
)


SLOW = Timing(period=10.0, scrape=5.0)


@dataclass
class Plan:
    """A rule that answers what a function of the time says, and keeps what it saw."""

    answer: Callable[[float], int]
    timing: Timing = SLOW
    seen: list[View] = field(default_factory=list)

    def decide(self, view: View) -> int:
        self.seen.append(view)
        return self.answer(view.now)


def play(trace: Trace, spec: FleetSpec = SPEC, answer: Callable[[float], int] = lambda _: 1) -> Outcome:
    return simulate(spec, trace, Plan(answer))


def spread(count: int, *, every: float, prompt: int = 4, output: int = 10, span: float = 0.0) -> Trace:
    """Requests at equal distances, a little off so that none falls on the end of a step."""
    return Trace.of([(number * every + 0.01, prompt, output) for number in range(count)], span=span)


def test_one_request_has_its_first_token_after_one_step_and_then_one_a_second() -> None:
    outcome = play(Trace.of([(5.0, 4, 11)], span=100.0))
    assert list(outcome.ttft) == pytest.approx([1.0])
    assert list(outcome.itl) == pytest.approx([1.0])
    assert (list(outcome.finished), outcome.failed) == ([1], 0)
    assert outcome.gpu_seconds == 100.0
    assert (outcome.prompt_tokens, outcome.generation_tokens) == (4, 11)


def test_requests_wait_for_the_slots_of_a_replica() -> None:
    """Four slots, answers of ten tokens: the fifth of five that come together waits for the first four."""
    outcome = play(spread(5, every=0.0))
    assert sorted(outcome.ttft) == pytest.approx([0.99 + 0.01] * 4 + [11.0], abs=0.02)


def test_the_least_loaded_replica_is_next_and_equals_take_turns() -> None:
    """Three replicas take twelve requests at once without any waiting; in a round the fourth comes to the first."""
    spec = replace(SPEC, min_replicas=3, max_replicas=3)
    outcome = play(spread(12, every=0.0), spec, lambda _: 3)
    assert max(outcome.ttft) == pytest.approx(1.0, abs=0.02)
    long_and_short = Trace.of([(number + 0.01, 4, 60 if number % 3 == 0 else 2) for number in range(15)])
    turns = play(long_and_short, replace(spec, router="round-robin"), lambda _: 3)
    least = play(long_and_short, spec, lambda _: 3)
    assert max(turns.ttft) > 30
    assert max(least.ttft) < 3


def test_a_new_replica_takes_requests_after_its_start_and_is_paid_from_its_creation() -> None:
    plan = Plan(lambda now: 1 if now < 100 else 2)
    outcome = simulate(SPEC, spread(200, every=1.0, output=2), plan)
    (decided,) = [change.at for change in outcome.changes if change.replicas == 2 and change.ready == 1]
    ready = next(change.at for change in outcome.changes if change.ready == 2)
    assert ready == pytest.approx(decided + 60.0)
    assert outcome.gpu_seconds == pytest.approx(outcome.span + outcome.span - decided)


def test_starts_are_spread_and_the_same_for_every_rule() -> None:
    spec = replace(SPEC, startup=Startup(60.0, 0.5))
    trace = spread(300, every=1.0, output=2)

    def starts(answer: Callable[[float], int]) -> list[float]:
        outcome = play(trace, spec, answer)
        created = [
            c.at for before, c in zip(outcome.changes, outcome.changes[1:], strict=False) if c.pods > before.pods
        ]
        ready = [
            c.at for before, c in zip(outcome.changes, outcome.changes[1:], strict=False) if c.ready > before.ready
        ]
        return [round(after - before, 6) for before, after in zip(created, ready, strict=False)]

    one, other = starts(lambda now: 2 if now > 50 else 1), starts(lambda now: 2 if now > 120 else 1)
    assert one == other
    assert 30 <= one[0] <= 90


def test_bounds_hold_whatever_the_rule_says() -> None:
    spec = replace(SPEC, min_replicas=2, max_replicas=3)
    outcome = play(spread(100, every=1.0), spec, lambda now: 99 if now < 50 else -7)
    assert {change.replicas for change in outcome.changes} == {2, 3}


def test_the_idlest_goes_and_finishes_what_it_has() -> None:
    """A long answer on one replica, short ones on the other: the one with the long answer stays."""
    trace = Trace.of([(0.01, 4, 80), *((1.01 + 5 * number, 4, 3) for number in range(19))])
    outcome = play(trace, replace(SPEC, initial=2), lambda now: 2 if now < 40 else 1)
    assert outcome.failed == 0
    assert outcome.changes[-1].pods == 1


@pytest.mark.parametrize(("output", "failed"), [(20, 0), (200, 1)])
def test_a_drain_ends_after_its_time(output: int, failed: int) -> None:
    """The only replica but one has an answer of so many seconds when it has to go; 30 s are given."""
    spec = replace(SPEC, initial=2, victim="newest")
    trace = Trace.of([(0.01, 4, output), (0.02, 4, output), (100.0, 4, 2)])
    outcome = simulate(spec, trace, Plan(lambda now: 1 if now > 5 else 2, timing=Timing(period=2.0, scrape=5.0)))
    assert outcome.failed == failed
    gone = next(change.at for change in outcome.changes if change.pods == 1)
    assert gone == pytest.approx(20.0, abs=0.1) if not failed else 32 < gone < 40


def test_a_pod_that_goes_is_paid_until_its_process_has_ended() -> None:
    """Idle, it waits 10 s for the proxies and needs 5 to end; with an answer of 20 s, 5 after that."""
    spec = replace(SPEC, initial=2, withdrawal_seconds=10.0, exit_seconds=5.0)

    def gone(output: int) -> float:
        trace = Trace.of([(30.0, 4, output), (30.0, 4, output)], span=100.0)
        plan = Plan(lambda now: 1 if now >= 31 else 2, timing=Timing(period=1.0, scrape=5.0))
        changes = simulate(spec, trace, plan).changes
        (left,) = [after.at for before, after in pairwise(changes) if after.pods < before.pods]
        return left - next(change.at for change in changes if change.replicas == 1)

    assert gone(1) == pytest.approx(15.0)
    assert gone(20) == pytest.approx(20 - 1 + 5, abs=1.1)


def test_a_pod_that_starts_goes_first_and_at_once() -> None:
    plan = Plan(lambda now: 2 if 20 < now < 40 else 1)
    outcome = simulate(SPEC, spread(100, every=1.0, output=2), plan)
    assert max(change.ready for change in outcome.changes) == 1
    assert outcome.gpu_seconds == pytest.approx(outcome.span + 20, abs=0.1)
    assert (outcome.actions, outcome.reversals) == (2, 1)


def test_a_crash_fails_what_is_there_and_the_pod_starts_again() -> None:
    spec = replace(SPEC, failures=Failures(crashes=(50.0,)))
    outcome = play(Trace.of([(45.0, 4, 20), (60.0, 4, 5), (200.0, 4, 5)]), spec)
    assert list(outcome.finished) == [0, 1, 1]
    assert outcome.ttft[0] == pytest.approx(1.0)
    assert isnan(outcome.itl[0])
    assert outcome.ttft[1] == pytest.approx(50 + 60 - 60 + 1)
    assert outcome.gpu_seconds == 200.0


def test_random_crashes_come_as_often_as_said() -> None:
    spec = replace(SPEC, startup=Startup(1.0, 0.0), failures=Failures(crashes_per_hour=20.0))
    outcome = play(spread(36_000, every=1.0, output=1), spec)
    crashes = sum(
        after.ready < before.ready for before, after in zip(outcome.changes, outcome.changes[1:], strict=False)
    )
    assert crashes == pytest.approx(200, rel=0.25)


def test_the_gateway_holds_requests_while_no_replica_is_ready_but_not_for_ever() -> None:
    spec = replace(SPEC, initial=0, min_replicas=0, wake_seconds=None)
    trace = Trace.of([(1.0, 4, 2), (50.0, 4, 2), (300.0, 4, 2)])
    outcome = play(trace, spec, lambda now: int(now > 55))
    assert list(outcome.finished) == [0, 1, 1]
    assert 115 < outcome.ttft[1] + 50 < 127


def test_a_request_at_zero_wakes_one_replica() -> None:
    spec = replace(SPEC, initial=0, min_replicas=0)
    woken = play(Trace.of([(20.0, 4, 2)], span=30.0), spec, lambda now: 0 if now < 20 else 1)
    assert next(change.at for change in woken.changes if change.replicas == 1) == pytest.approx(21.0)
    assert list(woken.ttft) == pytest.approx([62.0])


def test_what_can_never_be_held_is_refused_and_long_answers_are_cut() -> None:
    spec = replace(SPEC, max_model_len=100)
    outcome = play(Trace.of([(1.0, 5000, 2), (2.0, 100, 5), (3.0, 90, 500), (4.0, 4, 2)]), spec)
    assert list(outcome.finished) == [0, 0, 1, 1]
    assert outcome.generation_tokens == 12


def test_an_api_server_takes_requests_in_turn() -> None:
    spec = replace(SPEC, api_server=ApiServer(serial_seconds=0.25, latency_seconds=0.5))
    outcome = play(Trace.of([(10.0, 4, 1)] * 4), spec)
    assert list(outcome.ttft) == pytest.approx([1.75, 2.75, 2.75, 2.75])


def test_a_rule_sees_pages_of_the_past_and_the_fleet_of_now() -> None:
    """Pages every 5 s, 7 s under way, decisions every 10 s: the newest page is 7 to 12 s old; a start has none."""
    plan = Plan(lambda now: 1 if now < 50 else 2, timing=Timing(period=10.0, scrape=5.0, delay=7.0))
    simulate(SPEC, spread(200, every=1.0, output=3), plan)
    ages = [view.now - pod.page_at for view in plan.seen for pod in view.pods if pod.page_at is not None]
    assert 7.0 - 1e-5 <= min(ages) <= max(ages) <= 12.0 + 1e-5
    assert max(ages) - min(ages) > 0.1
    starting = [view for view in plan.seen if len(view.pods) == 2 and not view.pods[1].ready]
    assert starting
    assert all(view.pods[1].page is None for view in starting)
    assert [view.arrived for view in plan.seen] == [len([1 for k in range(200) if k + 0.01 < v.now]) for v in plan.seen]


def test_a_page_counts_as_the_engine_does() -> None:
    """Ten answers of three tokens to prompts of four have gone by."""
    plan = Plan(lambda _: 1)
    simulate(SPEC, spread(10, every=5.0, output=3, span=100.0), plan)
    page = plan.seen[-1].pods[0].page
    assert page is not None
    assert (page.prompt_tokens, page.generation_tokens, page.finished) == (40, 30, 10)
    assert (page.steps, page.step_tokens) == (30, 70)
    assert (page.kv_usage, page.running, page.waiting, page.kv_cache_tokens) == (0, 0, 0, 4004)
    assert page.missing == ()


def test_lost_pages_leave_the_old_ones() -> None:
    plan = Plan(lambda _: 1)
    spec = replace(SPEC, failures=Failures(outages=((40.0, 80.0),)))
    simulate(spec, spread(120, every=1.0), plan)
    ages = {round(view.now, 3): view.now - (view.pods[0].page_at or 0.0) for view in plan.seen}
    assert max(ages.values()) > 30
    assert min(age for now, age in ages.items() if now > 95) < 10
    lossy = Plan(lambda _: 1)
    simulate(replace(SPEC, failures=Failures(page_loss=0.5)), spread(2000, every=1.0), lossy)
    pages = {view.pods[0].page_at for view in lossy.seen}
    assert len(pages) / len(lossy.seen) == pytest.approx(0.5, abs=0.1)


def test_an_answer_in_time_keeps_both_objectives_and_a_failure_keeps_none() -> None:
    outcome = play(Trace.of([(1.0, 4, 3), (2.0, 5000, 2), (3.0, 4, 3), (300.0, 4, 3)]))
    assert outcome.attainment(Slo(5.0, 2.0)) == 0.75
    assert outcome.attainment(Slo(5.0, 0.5)) == 0.0
    assert outcome.attainment(Slo(0.5, 2.0)) == 0.0
    assert outcome.attainment(Slo(5.0, 2.0), start=250.0) == 1.0
    assert outcome.ttft_quantile(0.9) == float("inf")
    assert outcome.worst_ttft_p99(window=250.0) == float("inf")


def test_minutes_with_more_work_than_replicas_are_counted() -> None:
    """A prompt takes 10 s: seven in a minute are more than one replica has time for, five are not."""
    slow = StepTime(alpha_ms=1, beta_ms=100, gamma_ms=0, p=1)
    spec = replace(SPEC, step_time=slow, limits=Limits(1001, 4, 4, 64))
    busy = [(60.0 + number, 99, 1) for number in range(7)]
    calm = [(180.0 + number, 99, 1) for number in range(5)]
    assert play(Trace.of(busy + calm, span=300.0), spec).underprovisioned_seconds == 60.0


def test_an_outcome_in_json_has_its_series() -> None:
    outcome = play(spread(50, every=1.0))
    document = outcome.to_json(Slo(2.0, 2.0))
    assert (document["requests"], document["sloAttainment"], document["failed"]) == (
        50,
        outcome.attainment(Slo(2, 2)),
        0,
    )
    assert document["replicas"][0] == [0.0, 1, 1, 1]
    assert len(document["samples"]) == 4
    assert "samples" not in outcome.to_json(Slo(2.0, 2.0), series=False)


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(st.tuples(st.floats(0, 300), st.integers(1, 40), st.integers(1, 60)), min_size=1, max_size=60),
    answers=st.lists(st.integers(0, 5), min_size=1, max_size=31),
    crashes=st.lists(st.floats(0, 300), max_size=3),
    seed=st.integers(0, 3),
    serial=st.sampled_from([0.0, 0.3]),
)
def test_every_request_ends_or_fails_and_nothing_is_paid_twice(
    *,
    requests: list[tuple[float, int, int]],
    answers: list[int],
    crashes: list[float],
    seed: int,
    serial: float,
) -> None:
    """Whatever a rule does and whatever crashes; and the same again gives the same."""
    spec = replace(SPEC, min_replicas=0, failures=Failures(crashes=tuple(crashes)), api_server=ApiServer(serial, 0.0))

    def run() -> Outcome:
        plan = Plan(lambda now: answers[int(now / 10) % len(answers)])
        return simulate(spec, Trace.of(requests), plan, seed=seed)

    outcome = run()
    for ttft, itl, finished in zip(outcome.ttft, outcome.itl, outcome.finished, strict=True):
        assert not finished or (ttft > 0 and itl >= 0)
        assert finished or isnan(itl)
    assert (
        outcome.gpu_seconds
        <= sum(
            max(before.pods, after.pods) * (after.at - before.at)
            for before, after in zip(outcome.changes, outcome.changes[1:], strict=False)
        )
        + outcome.changes[-1].pods * max(0.0, outcome.span - outcome.changes[-1].at)
        + 1e-6
    )
    assert all(change.ready <= change.pods for change in outcome.changes)
    assert repr(outcome.to_json(Slo(1, 1))) == repr(run().to_json(Slo(1, 1)))
