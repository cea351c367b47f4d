"""The catalogue of peers: complete, and every rule keeps what the interface promises."""

import pytest

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.catalogue import PEERS
from llmfleet.sim.rule import View
from tests.unit.sim.peers.fleets import alike, seen, starting

BOUNDS = Bounds(2, 12)


@pytest.mark.parametrize("name", PEERS)
def test_every_rule_answers_any_fleet_within_bounds(name: str) -> None:
    """Empty, blind, idle and overloaded ones, one after the other; also with the knob turned to either end."""
    peer = PEERS[name]
    for knob in (None, *peer.grid[:1], *peer.grid[-1:]):
        rule = peer.rule(BOUNDS, knob)
        assert rule.timing.period > 0
        assert rule.timing.scrape > 0
        assert rule.timing.delay >= 0
        for step, view in enumerate(fleets()):
            moved = View(
                now=step * rule.timing.period, replicas=view.replicas, pods=view.pods, active=view.active, arrived=0
            )
            assert BOUNDS.least <= rule.decide(moved) <= BOUNDS.most


def fleets() -> list[View]:
    return [
        seen(replicas=2),
        seen([starting("a"), starting("b")]),
        seen(alike(4)),
        seen(alike(4, kv=1.0, waiting=900, running=256), active=4600),
        seen([*alike(2, kv=1.0, waiting=900, running=256), starting()], active=2300),
    ]


@pytest.mark.parametrize("name", PEERS)
def test_rules_share_no_memory(name: str) -> None:
    peer = PEERS[name]
    assert peer.rule(BOUNDS) is not peer.rule(BOUNDS)


def test_what_is_shipped_is_one_of_the_values_that_tuning_tries() -> None:
    """So tuning can only help a peer."""
    for peer in PEERS.values():
        if peer.grid:
            assert peer.default in peer.grid, peer.name


def test_impossible_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="0 <= minReplicas <= maxReplicas"):
        Bounds(3, 2)


def test_static_fleets_hold_their_number() -> None:
    """As shipped the peak is maxReplicas; what the mean is comes from the trace."""
    assert PEERS["static-peak"].rule(BOUNDS).decide(seen(alike(3, kv=1.0))) == 12
    assert PEERS["static-mean"].rule(BOUNDS, 4.6).decide(seen(alike(3, kv=0.0))) == 5
    assert PEERS["static-mean"].rule(BOUNDS, 99).decide(seen()) == 12
