"""What counts as the reaction to a step of load."""

from llmfleet.sim.outcome import Change, Outcome
from tests.bench.autoscalers.reaction import AFTER, Reaction, judge, line


def _outcome(*wanted: tuple[float, int]) -> Outcome:
    return Outcome(changes=[Change(at, replicas, 1, replicas) for at, replicas in wanted])


def test_enough_is_decided_with_the_first_number_that_bears_the_load() -> None:
    """Two decisions to get from 1 to 4 that are needed, and one more that is too much."""
    outcome = _outcome((0.0, 1), (110.0, 3), (140.0, 4), (200.0, 6), (500.0, 4))
    assert judge(outcome, needed=4, step=100.0) == Reaction(decided=40.0, decisions=2, overshoot=1.5)


def test_what_never_is_enough_was_not_decided() -> None:
    outcome = _outcome((0.0, 1), (150.0, 2), (100.0 + AFTER + 1, 4))
    assert judge(outcome, needed=4, step=100.0) == Reaction(decided=None, decisions=1, overshoot=0.5)


def test_more_than_one_in_twenty_too_late_leaves_no_95th_percentile() -> None:
    quick, never = Reaction(5.0, 1, 1.0), Reaction(None, 0, 0.5)
    assert line("a rule", [quick] * 30) == "| a rule | 5 s | 5 s | 1.0 | 1.00 | 30/30 |"
    assert line("a rule", [quick] * 28 + [never] * 2) == "| a rule | 5 s | not within 600 s | 0.9 | 1.00 | 28/30 |"
