"""Since when the replicas are all of the present spec."""

from typing import Any

from llmfleet.controller.observed import Observed
from llmfleet.controller.settled import Settled
from tests.unit.controller.bodies import counts, observed, running
from tests.unit.kube.bodies import llm_body

KEY = ("team", "qwen")
REST = counts(current=1, updated=1, ready=1)


def seen(live: dict[str, Any], **body: Any) -> Observed:
    target = llm_body(**body)
    return observed(target, running(target, status=live), ())


def test_an_object_is_settled_after_a_while_at_rest() -> None:
    settled = Settled(patience=25)
    assert [settled.note(KEY, seen(REST), now=now) for now in (0, 24, 25, 26)] == [25, 1, 0, 0]


def test_a_rollout_or_a_new_generation_starts_anew() -> None:
    """Also one that changes nothing of the pods: what follows from the spec may be another."""
    settled = Settled(patience=25)
    settled.note(KEY, seen(REST), now=0)
    assert settled.note(KEY, seen(counts(current=2, updated=1, ready=1)), now=30) is None
    assert settled.note(KEY, seen(REST), now=31) == 25
    assert settled.note(KEY, seen(REST, generation=2), now=60) == 25
    assert settled.note(KEY, seen(REST, generation=2), now=85) == 0


def test_nothing_is_settled_without_replicas() -> None:
    settled = Settled(patience=0)
    assert settled.note(KEY, seen(counts(current=0, updated=0, ready=0)), now=0) is None
    assert settled.note(KEY, seen(REST), now=1) == 0
    settled.forget(KEY)
    assert settled.note(KEY, seen(REST), now=2) == 0
