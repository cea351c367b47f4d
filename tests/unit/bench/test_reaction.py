"""What counts as the reaction to a step of load."""

from collections.abc import Sequence

import pytest

from llmfleet.sim.outcome import Change, Outcome
from tests.bench.autoscalers import reaction, rules
from tests.bench.autoscalers.reaction import AFTER, FACTORS, HALVED, Reaction, given_back, judge, line


def _outcome(*wanted: tuple[float, int]) -> Outcome:
    return Outcome(changes=[Change(at, replicas, 1, replicas) for at, replicas in wanted])


def test_enough_is_decided_with_the_first_number_that_bears_the_load() -> None:
    """Two decisions to get from 1 to 4 that are needed, and one more that is too much."""
    outcome = _outcome((0.0, 1), (110.0, 3), (140.0, 4), (200.0, 6), (500.0, 4))
    assert judge(outcome, needed=4, step=100.0) == Reaction(decided=40.0, decisions=2, overshoot=1.5)


def test_what_never_is_enough_was_not_decided() -> None:
    outcome = _outcome((0.0, 1), (150.0, 2), (100.0 + AFTER + 1, 4))
    assert judge(outcome, needed=4, step=100.0) == Reaction(decided=None, decisions=1, overshoot=0.5)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param([(0.0, 1), (110.0, 4), (1000.0, 3), (1060.0, 2)], 300.0, id="one first"),
        pytest.param([(0.0, 1), (110.0, 4), (800.0, 5), (1000.0, 4), (1060.0, 3)], 360.0, id="more first"),
        pytest.param([(0.0, 1), (110.0, 4), (400.0, 2), (500.0, 4), (1000.0, 2)], 300.0, id="few before the halving"),
        pytest.param([(0.0, 1), (110.0, 4), (690.0, 2), (1000.0, 1)], 0.0, id="no more when the load halves"),
        pytest.param([(0.0, 1)], 0.0, id="never more"),
        pytest.param([(0.0, 1), (110.0, 4), (700.0 + HALVED, 2)], HALVED, id="in the last moment looked at"),
        pytest.param([(0.0, 1), (110.0, 4), (701.0 + HALVED, 2)], None, id="later than what is looked at"),
        pytest.param([(0.0, 1), (110.0, 4), (1000.0, 6)], None, id="never fewer"),
    ],
)
def test_given_back_is_when_fewer_are_asked_for_than_when_the_load_halved(
    wanted: list[tuple[float, int]], expected: float | None
) -> None:
    """Four replicas are needed, and from second 700 two."""
    assert given_back(_outcome(*wanted), needed=2, halved=700.0) == expected


def test_the_way_down_does_not_count_for_the_way_up() -> None:
    outcome = _outcome((0.0, 1), (110.0, 4), (100.0 + AFTER + 50, 8))
    assert judge(outcome, needed=4, step=100.0) == Reaction(decided=10.0, decisions=1, overshoot=1.0)


def test_more_than_one_in_twenty_too_late_leaves_no_95th_percentile() -> None:
    quick, never = Reaction(5.0, 1, 1.0, 360.0), Reaction(None, 0, 0.5, 0.0)
    assert line("a rule", [quick] * 30) == "| a rule | 5 s | 5 s | 1.0 | 1.00 | 30/30 | 360 s |"
    assert line("a rule", [quick] * 28 + [never] * 2) == (
        "| a rule | 5 s | not within 600 s | 0.9 | 1.00 | 28/30 | 360 s |"
    )


def test_what_came_too_late_counts_as_later_than_everything_that_came() -> None:
    """Of three the middle one is the slower of the two that came, not the mean of them."""
    reactions = [Reaction(5.0, 1, 1.0, 100.0), Reaction(9.0, 1, 1.0, None), Reaction(None, 1, 1.0, None)]
    assert line("a rule", reactions) == "| a rule | 9 s | not within 600 s | 1.0 | 1.00 | 2/3 | not within 1800 s |"


def test_all_are_played_unless_some_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Sequence[str]] = []

    def play(names: Sequence[str]) -> dict[tuple[str, int], list[Reaction]]:
        asked.append(names)
        return {(name, factor): [Reaction(5.0, 1, 1.0, 360.0)] for name in names for factor in FACTORS}

    monkeypatch.setattr(reaction, "play", play)
    assert reaction.main([]) == reaction.main(["kubeai", "kubeai"]) == 0
    assert asked == [rules.NAMES, ["kubeai"]]
    with pytest.raises(SystemExit):
        reaction.main(["nobody"])
    assert "no autoscaler 'nobody'; there are: llmfleet" in capsys.readouterr().err
