"""KAITO's scaler."""

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.kaito import Kaito, ratio
from llmfleet.sim.rule import PodView, View
from tests.unit.sim.peers.fleets import alike, history, seen, serving, starting

WIDE = Bounds(1, 30)


def asked(*pods: PodView, now: float = 0) -> float | None:
    return ratio(5)(seen(pods, now=now))


def test_the_formula() -> None:
    """builder.go: twice, half, or what there is."""
    assert asked(serving("a", waiting=4), serving("b", waiting=8)) == 2.0
    assert asked(serving("a", waiting=0), serving("b", waiting=1)) == 0.5
    assert asked(serving("a", waiting=3)) == 1.0
    assert asked(serving("a", waiting=50), starting()) == 1.0, "a replica still starts"
    assert asked(serving("a", waiting=50), now=46) is None, "its page is too old"


def test_from_one_to_five_takes_a_quarter_of_an_hour() -> None:
    """One a 300 s, the first after 60 s of stabilization, with starts that take no time."""

    def overloaded(now: float, replicas: int) -> View:
        return seen(fresh(alike(replicas, waiting=20), now), now=now)

    ticks = range(0, 1500, 15)
    numbers = history(Kaito(WIDE), overloaded, ticks, replicas=1)
    reached = [ticks[numbers.index(count)] for count in (2, 3, 4, 5)]
    assert reached == [60, 360, 660, 960]


def fresh(pods: tuple[PodView, ...], now: float) -> list[PodView]:
    return [PodView(name=pod.name, created_at=0, ready_at=0, page=pod.page, page_at=now) for pod in pods]
