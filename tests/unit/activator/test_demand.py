"""Who is asked for, and until when."""

from llmfleet.activator.demand import LINGER, Demand


def test_what_was_refused_counts_until_its_client_had_time_to_come_again() -> None:
    """Counted from the last refusal; after that the next request is a first one again."""
    demand = Demand()
    demand.refused("a", 100.0)
    demand.refused("a", 110.0)
    assert demand.wanted(110.0 + LINGER - 0.1) == {"a"}
    assert demand.asked_for("a", 139.0) == 39.0
    assert demand.wanted(110.0 + LINGER) == set()
    assert demand.asked_for("a", 141.0) == 0.0
    assert demand.came("a", 141.0)


def test_what_waits_counts_for_as_long_as_it_waits() -> None:
    """One of two that leaves takes nothing away; when the last has gone nobody is asked for, with no lingering."""
    demand = Demand()
    assert [demand.came("a", 0.0), demand.came("a", 1.0)] == [True, False]
    demand.went("a")
    assert demand.wanted(100 * LINGER) == {"a"}
    demand.went("a")
    assert demand.wanted(100 * LINGER) == set()


def test_a_replica_ends_what_was_asked_before() -> None:
    demand = Demand()
    demand.refused("a", 0.0)
    demand.refused("b", 0.0)
    demand.served("a")
    assert demand.wanted(1.0) == {"b"}
