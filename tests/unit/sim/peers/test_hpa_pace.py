"""How fast an HPA's `behavior` lets replicas move."""

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.hpa_pace import DEFAULT_DOWN, Behavior, Direction, Pace, Policy

WIDE = Bounds(1, 1000)


def run(pace: Pace, asked: list[tuple[float, int]], *, current: int) -> list[int]:
    """The numbers written when the metrics ask for so many at those times."""
    numbers = []
    for now, wanted in asked:
        pace.begin(now, current)
        after = pace.limited(now, current, wanted)
        if after != current:
            pace.moved(now, current, after)
        current = after
        numbers.append(current)
    return numbers


def test_the_defaults_of_behavior_are_double_or_four_more() -> None:
    """What kubernetes.io says of the default behavior: 1, 5, 10, 20; every 15 s, not more often."""
    pace = Pace(WIDE, Behavior())
    asked = [(0.0, 500), (7.0, 500), (15.5, 500), (31.0, 500)]
    assert run(pace, asked, current=1) == [5, 5, 10, 20]


def test_one_pod_a_minute() -> None:
    pace = Pace(WIDE, Behavior(up=Direction(0, (Policy("Pods", 1, 60),))))
    assert run(pace, [(t, 9) for t in (0.0, 15.0, 30.0, 59.0, 60.0, 75.0, 120.0)], current=1) == [2, 2, 2, 2, 3, 3, 4]


def test_percent_is_rounded_up_on_the_way_up_and_down_on_the_way_down() -> None:
    """TestScaleUp/DownWithRules of horizontal_test.go round the same way: 10 % of 3 is one more, 50 % of 3 leaves 1."""
    up = Pace(WIDE, Behavior(up=Direction(0, (Policy("Percent", 10, 60),))))
    assert run(up, [(0.0, 9)], current=3) == [4]
    down = Pace(WIDE, Behavior(down=Direction(0, (Policy("Percent", 50, 60),))))
    assert run(down, [(0.0, 1)], current=3) == [1]


def test_min_takes_the_smaller_change_and_disabled_none() -> None:
    policies = (Policy("Pods", 4, 15), Policy("Percent", 50, 15))
    slow = Pace(WIDE, Behavior(up=Direction(0, policies, select="Min"), down=Direction(0, policies, select="Min")))
    assert run(slow, [(0.0, 100)], current=6) == [9]
    assert run(slow, [(100.0, 1)], current=6) == [3]
    never = Pace(WIDE, Behavior(down=Direction(0, policies, select="Disabled")))
    assert run(never, [(0.0, 1)], current=6) == [6]


def test_a_window_on_the_way_up_waits_for_the_smallest_answer() -> None:
    """60 s: a peak between low answers adds nothing."""
    pace = Pace(WIDE, Behavior(up=Direction(60, (Policy("Pods", 4, 15),)), down=DEFAULT_DOWN))
    asked = [(0.0, 2), (15.0, 9), (30.0, 2), (45.0, 9), (60.0, 9), (75.0, 9), (91.0, 9)]
    assert run(pace, asked, current=2) == [2, 2, 2, 2, 2, 2, 6]


def test_a_move_in_the_other_direction_gives_its_room_back() -> None:
    """Three down within the period: the period began with five, so up to nine again."""
    quick = Direction(0, (Policy("Pods", 4, 60),))
    pace = Pace(WIDE, Behavior(up=quick, down=quick))
    assert run(pace, [(0.0, 2), (1.0, 50)], current=5) == [2, 9]
