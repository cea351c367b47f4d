"""A day of one object as sums: what counts as what, what is forgotten, and how much memory it takes."""

import pickle
from dataclasses import replace

import pytest

from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.ports import EngineFacts
from llmfleet.scaling.signals import PodSignals, Quality
from llmfleet.scaling.window import BLOCK_SECONDS, BLOCKS, Seen, Window
from tests.unit.scaling.builders import PERIOD, config, fleet, signals

FACTS = EngineFacts(max_num_seqs=32, max_num_batched_tokens=256)
HOUR = 3600.0


def watch(*fleets: Fleet, facts: EngineFacts = FACTS, wanted: int = 1, window: Window | None = None) -> Seen:
    """The sums over ten looks at each of these fleets."""
    window, now = window or Window(), 0.0
    for one in fleets:
        for _ in range(10):
            window.add(one, facts, config(least=2, most=4), wanted=wanted, now=now)
            now += PERIOD
    return window.seen


def queueing(kv: float = 0.1, *, running: float = 32, tokens: float | None = None) -> PodSignals:
    """A replica with a queue that stands; its steps compute so many tokens."""
    found = signals(kv, 5.0, running=running)
    if tokens is None:
        return found
    return replace(found, step_rate=10.0, prompt_rate=9 * tokens, generation_rate=tokens)


@pytest.mark.parametrize(
    ("one", "facts", "found"),
    [
        pytest.param(queueing(), FACTS, {"waiting", "full"}, id="as many as maxNumSeqs"),
        pytest.param(queueing(running=31), FACTS, {"waiting"}, id="one place is free"),
        pytest.param(queueing(0.5), FACTS, {"waiting"}, id="memory may be what is waited for"),
        pytest.param(queueing(running=256), EngineFacts(), {"waiting", "full"}, id="as many as vLLM's own choice"),
        pytest.param(queueing(running=200), EngineFacts(), {"waiting"}, id="no bound that is known"),
        pytest.param(queueing(running=9, tokens=240), FACTS, {"waiting", "budgeted"}, id="full steps"),
        pytest.param(queueing(running=9, tokens=200), FACTS, {"waiting"}, id="steps with room"),
        pytest.param(signals(0.1, 5.0, least=0.0, running=32), FACTS, set(), id="a queue that comes and goes"),
        pytest.param(signals(0.99, 0.0, preempting=True), FACTS, {"preempting"}, id="preemptions go on"),
    ],
)
def test_what_counts_as_what(one: PodSignals, facts: EngineFacts, found: set[str]) -> None:
    seen = watch(fleet(one), facts=facts)
    names = ("waiting", "full", "budgeted", "preempting")
    assert {name for name in names if getattr(seen, name)} == found
    assert all(getattr(seen, name) == pytest.approx(9 * PERIOD) for name in found)


def test_shares_are_of_replicas_and_seconds() -> None:
    seen = watch(fleet(queueing(), signals(0.3), signals(0.3), signals(0.3)))
    assert seen.seconds == 9 * PERIOD
    assert seen.replica_seconds == 4 * 9 * PERIOD
    assert seen.share(seen.full) == 0.25
    assert seen.kv_below(0.25) == pytest.approx(0.15)
    assert seen.kv_below(1.0) == pytest.approx(0.35)


def test_what_the_load_wants_is_compared_with_the_bounds() -> None:
    """At least two, at most four."""
    seen = {wanted: watch(fleet(signals()), wanted=wanted) for wanted in (1, 2, 5)}
    assert [bool(seen[n].at_min) for n in (1, 2, 5)] == [False, True, True]
    assert [bool(seen[n].above_max) for n in (1, 2, 5)] == [False, False, True]
    assert (seen[1].most_below_min, seen[5].most_wanted) == (1, 5)


@pytest.mark.parametrize(
    "blind",
    [
        pytest.param(fleet(signals(), signals(quality=Quality.STALE)), id="one is not known"),
        pytest.param(fleet(starting=1), id="nobody serves"),
        pytest.param(fleet(signals(), starting=1), id="one starts: it may be of another spec"),
    ],
)
def test_what_is_not_known_is_not_seen(blind: Fleet) -> None:
    assert watch(blind).seconds == 0


def test_a_replica_that_finds_no_room_blinds_nobody() -> None:
    assert watch(fleet(signals(), starting=1, unschedulable=1)).seconds > 0


def test_a_gap_in_watching_is_not_counted_as_what_was_seen_after_it() -> None:
    window = Window()
    for now in (0.0, 5.0, 3605.0):
        window.add(fleet(signals()), FACTS, None, wanted=1, now=now)
    assert window.seen.seconds == 65


def test_another_spec_is_another_beginning() -> None:
    window = Window()
    watch(fleet(queueing()), window=window)
    changed = replace(FACTS, max_num_seqs=64)
    assert window.add(fleet(signals()), changed, config(least=2, most=4), wanted=1, now=1000.0)
    assert window.seen.seconds == 0
    assert not window.add(fleet(signals()), changed, config(least=2, most=4), wanted=1, now=1005.0)
    assert window.seen.waiting == 0


def test_a_day_is_remembered_in_a_few_kilobytes() -> None:
    window = Window()
    for look in range(int(48 * HOUR / 60)):
        one = queueing() if look * 60 < 24 * HOUR else signals()
        window.add(fleet(one), FACTS, None, wanted=1, now=look * 60.0)
    assert 20 * HOUR <= window.seen.seconds <= BLOCKS * BLOCK_SECONDS
    assert window.seen.waiting == 0, "the day before is forgotten"
    assert len(pickle.dumps(window)) < 5000
