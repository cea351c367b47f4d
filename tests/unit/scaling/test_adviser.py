"""What is recommended stays word for word, with its first moment, until it is over or its value is another one."""

from dataclasses import replace

from llmfleet.api.status import Recommendation
from llmfleet.scaling.adviser import REVIEW_SECONDS, Adviser
from llmfleet.scaling.clock import rfc3339
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.ports import EngineFacts, ObjectRef, WatchedObject
from tests.unit.scaling.builders import fleet, signals

FACTS = EngineFacts(max_num_seqs=32)
HOUR = 3600.0
START = 1_795_368_000.0
OBJECT = WatchedObject(
    ref=ObjectRef("team", "chat", "uid"), config=None, facts=FACTS, replicas=1, resource_version="1", pods=()
)
CROWDED = fleet(signals(0.1, 5.0, running=32))
QUIET = fleet(signals(0.6, running=3))


class Watch:
    """An adviser that looks once a minute."""

    def __init__(self, stored: tuple[Recommendation, ...] = ()) -> None:
        self.adviser, self.now, self.watched = Adviser(stored), 0.0, OBJECT

    def look(self, hours: float, seen: Fleet) -> list[str]:
        end = self.now + hours * HOUR
        while self.now < end:
            self.adviser.look(self.watched, seen, wanted=1, now=self.now, wall=START + self.now)
            self.now += 60.0
        return [one.reason for one in self.adviser.told]


def test_nothing_before_an_hour_and_then_with_its_first_moment() -> None:
    watch = Watch()
    assert watch.look(1, CROWDED) == []
    assert watch.look(0.2, CROWDED) == ["RaiseMaxNumSeqs"]
    (first,) = watch.adviser.told
    assert rfc3339(START + HOUR) <= first.since <= rfc3339(START + HOUR + 2 * REVIEW_SECONDS)
    watch.look(5, CROWDED)
    assert watch.adviser.told == (first,), "the share of the time has changed, the advice has not"


def test_another_value_is_said_anew_and_stands_since_the_same_moment() -> None:
    watch = Watch()
    watch.look(2, CROWDED)
    (first,) = watch.adviser.told
    watch.look(14, fleet(signals(0.45, 5.0, running=32)))
    (second,) = watch.adviser.told
    assert "to 128" in first.message
    assert "to 128" not in second.message
    assert second.since == first.since


def test_what_is_over_goes() -> None:
    watch = Watch()
    watch.look(1.5, CROWDED)
    assert watch.look(30, QUIET) == []


def test_a_spec_that_was_changed_ends_it_at_once() -> None:
    """Whoever follows an advice does not want to read it for another day."""
    watch = Watch()
    watch.look(2, CROWDED)
    watch.watched = replace(OBJECT, facts=replace(FACTS, max_num_seqs=128))
    assert watch.look(0.1, QUIET) == []


def test_a_new_process_keeps_what_was_stored_until_it_has_seen_an_hour() -> None:
    stored = Recommendation(reason="RaiseMaxNumSeqs", message="raise it", since="2026-11-20T00:00:00Z")
    gone = Recommendation(reason="UseSmallerProfile", message="too large", since="2026-11-20T00:00:00Z")
    watch = Watch((stored, gone))
    assert watch.look(0.9, CROWDED) == ["RaiseMaxNumSeqs", "UseSmallerProfile"]
    watch.look(0.5, CROWDED)
    assert watch.adviser.told == (stored,)


def test_a_reason_of_another_version_of_the_operator_is_dropped() -> None:
    watch = Watch((Recommendation(reason="BuyMoreGPUs", message="", since="2026-11-20T00:00:00Z"),))
    assert watch.look(1.5, QUIET) == []
