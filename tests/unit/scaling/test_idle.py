"""Between one replica and none: when the last one goes, when the first one comes, and what keeps it."""

from dataclasses import replace

import pytest

from llmfleet.api.conditions import Reason
from llmfleet.api.v1alpha1 import ScalingSpec
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.policy import Decision, decide
from llmfleet.scaling.signals import PodSignals, Quality
from llmfleet.scaling.state import State
from tests.unit.scaling.builders import PERIOD, fleet, pod, signals, write

IDLE_SECONDS = 600.0
CONFIG = ScalingConfig.from_spec(ScalingSpec(min_replicas=0, max_replicas=4, scale_down_delay_seconds=60))
QUIET = signals(0.0, 0.0, running=0.0, finish=0.0)


def awake(*seen: PodSignals, demanded: bool = False, wakeable: bool = True) -> Fleet:
    return replace(fleet(*seen), demanded=demanded, wakeable=wakeable)


def asleep(*, demanded: bool = False, wakeable: bool = True) -> Fleet:
    return Fleet(current=0, demanded=demanded, wakeable=wakeable)


def seen_for(found: Fleet, seconds: float, *, config: ScalingConfig = CONFIG, state: State | None = None) -> Decision:
    """The last decision about a fleet that looks like this for so long."""
    state, now = state or State(), 0.0
    while True:
        decision, state = decide(config, found, state, now)
        if now >= seconds:
            return decision
        now += PERIOD


def test_the_last_replica_goes_once_nobody_has_asked_for_the_whole_time() -> None:
    assert seen_for(awake(QUIET), IDLE_SECONDS - PERIOD).wanted == 1
    decision = seen_for(awake(QUIET), IDLE_SECONDS)
    assert (decision.wanted, decision.write, decision.reason, decision.cause) == (0, True, Reason.SCALING, "idle")
    assert "nobody has asked for 600 s (idleToZeroSeconds)" in decision.message


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(signals(0.1, 0.0, running=1.0, finish=0.0), id="a request runs"),
        pytest.param(signals(0.0, 1.0, running=0.0, finish=0.0), id="a request waits"),
        pytest.param(signals(0.0, 0.0, running=0.0, finish=0.2), id="a request came and went between two looks"),
        pytest.param(replace(QUIET, quality=Quality.MISSING), id="a gauge is missing"),
        pytest.param(replace(QUIET, quality=Quality.STALE), id="old"),
        pytest.param(replace(QUIET, quality=Quality.FROZEN), id="frozen"),
        pytest.param(PodSignals(), id="never seen"),
        pytest.param(replace(QUIET, running=None), id="nobody knows what runs"),
        pytest.param(replace(QUIET, finish_rate=None), id="no counter at all"),
        pytest.param(replace(QUIET, finish_rate=None, prompt_rate=3.0), id="prompt tokens move"),
    ],
)
def test_what_is_not_known_to_be_idle_stays(seen: PodSignals) -> None:
    assert seen_for(awake(seen), 4 * IDLE_SECONDS).wanted == 1


def test_other_counters_do_where_nobody_counts_what_ended() -> None:
    seen = replace(QUIET, finish_rate=None, prompt_rate=0.0, generation_rate=0.0)
    assert seen_for(awake(seen), IDLE_SECONDS).wanted == 0


def test_one_request_begins_the_time_anew() -> None:
    state, busy = State(), signals(0.1, 0.0, running=1.0)
    for now in range(0, 1200, 5):
        at = busy if now == 500 else QUIET
        decision, state = decide(CONFIG, awake(at), state, float(now))
        assert decision.wanted == (0 if now >= 505 + IDLE_SECONDS else 1), now


def test_a_new_leader_begins_anew() -> None:
    """What another process has seen does not count: its memory is empty."""
    assert seen_for(awake(QUIET), 0.0).wanted == 1


def test_several_idle_replicas_become_one_first() -> None:
    several = awake(QUIET, QUIET, QUIET)
    assert seen_for(several, 2 * IDLE_SECONDS).wanted == 1


def test_a_replica_that_starts_is_not_idle() -> None:
    starting = replace(fleet(starting=1), wakeable=True)
    assert seen_for(starting, 2 * IDLE_SECONDS).wanted == 1


def test_without_an_activator_it_stays_and_says_why() -> None:
    decision = seen_for(awake(QUIET, wakeable=False), IDLE_SECONDS)
    assert (decision.wanted, decision.write, decision.reason) == (1, False, Reason.NO_ACTIVATOR)
    assert "no activator answers" in decision.message


def test_with_requests_in_the_activator_it_stays() -> None:
    assert seen_for(awake(QUIET, demanded=True), 2 * IDLE_SECONDS).wanted == 1


def test_at_zero_nothing_happens_without_a_request() -> None:
    decision = seen_for(asleep(), 10 * IDLE_SECONDS)
    assert (decision.wanted, decision.write, decision.reason) == (0, False, Reason.SCALING)
    assert decision.message == "0 replicas; a request wakes one"


def test_a_request_wakes_at_the_first_look() -> None:
    decision = seen_for(asleep(demanded=True), 0.0)
    assert (decision.wanted, decision.write, decision.cause) == (1, True, "demand")


def test_what_was_woken_has_the_whole_time_again() -> None:
    decision, state = decide(CONFIG, asleep(demanded=True), State(), 0.0)
    state = write(state, decision)
    _, state = decide(CONFIG, replace(fleet(starting=1), wakeable=True), state, 5.0)
    for now in range(10, 610, 5):
        decision, state = decide(CONFIG, awake(QUIET), state, float(now))
        assert decision.wanted == 1, now
    assert decide(CONFIG, awake(QUIET), state, 610.0)[0].wanted == 0


def test_at_zero_without_an_activator_it_says_how_to_wake() -> None:
    decision = seen_for(asleep(wakeable=False), 0.0)
    assert (decision.wanted, decision.write, decision.reason) == (0, False, Reason.NO_ACTIVATOR)
    assert "through /scale" in decision.message


def test_a_person_s_zero_without_an_activator_is_taken_back_while_a_pod_is_there() -> None:
    """The Deployment is not taken to zero then; the number must say so."""
    held = Fleet(current=0, replicas=(pod("a", QUIET),))
    decision = seen_for(held, 0.0)
    assert (decision.wanted, decision.write, decision.reason) == (1, True, Reason.NO_ACTIVATOR)


def test_with_a_minimum_of_one_nothing_goes_to_zero() -> None:
    one = ScalingConfig.from_spec(ScalingSpec(max_replicas=4))
    assert seen_for(awake(QUIET), 10 * IDLE_SECONDS, config=one).wanted == 1
    assert seen_for(asleep(), 0.0, config=one).wanted == 1
