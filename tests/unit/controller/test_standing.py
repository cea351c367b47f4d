"""Who answers around zero: never nobody, and nothing on a guess."""

from dataclasses import replace
from typing import Any

import pytest

from llmfleet.api.conditions import ConditionType, Reason
from llmfleet.controller.conditions import Judgement, Scene, judge
from llmfleet.controller.observed import Observed
from llmfleet.controller.plan import Plan, plan
from llmfleet.controller.standing import Guards, Post, view_slice
from llmfleet.manifests import activator_slice
from tests.unit.controller.bodies import counts, desired_of, observed, parsed, running, stored
from tests.unit.kube.bodies import llm_body, pod_body

PORT, ADDRESSES = 20017, ("10.0.0.8", "10.0.0.9")
GUARDS = Guards(PORT, ADDRESSES)
NOBODY = Guards(PORT, ())
READY_AT = 1795348860.0
"""2026-11-22T12:01:00Z, when the ready pod of the bodies became so."""

Body = dict[str, Any]


def sleepy(replicas: int, **scaling: Any) -> Body:
    return llm_body(replicas=replicas, scaling={"minReplicas": 0, "maxReplicas": 4} | scaling)


def scene(
    target: Body,
    *,
    live: int,
    guards: Guards | None = GUARDS,
    post: tuple[str, ...] | None = None,
    pods: tuple[Body, ...] = (),
) -> Observed:
    """The object with a Deployment of so many replicas, the activators, and what stands in the slice."""
    bodies = running(target, status=counts(current=live, updated=live, ready=live))
    bodies["Deployment"]["spec"]["replicas"] = live
    found = replace(observed(target, bodies, pods), guards=guards)
    if post is None:
        return found
    manifest = activator_slice.render(parsed(target), port=PORT, addresses=post, family="IPv4")
    body = stored(manifest | {"spec": {}})
    return replace(found, slice=view_slice(body))


def decide(target: Body, found: Observed, *, now: float = READY_AT + 60) -> Plan:
    return plan(desired_of(target), found, now=now)


def steps(found: Plan) -> list[tuple[str, Any]]:
    return [(step.kind, step.post or (step.start and step.start.replicas)) for step in found.steps]


def test_above_zero_the_place_is_made_and_empty() -> None:
    """So the port is known to the activators long before it is needed."""
    target = sleepy(1)
    found = decide(target, scene(target, live=1, pods=(pod_body(ready=True),)))
    assert steps(found) == [("EndpointSlice", Post(PORT, (), "IPv4"))]
    assert decide(target, scene(target, live=1, post=(), pods=(pod_body(ready=True),))).steps == ()


def test_going_down_the_activators_stand_there_before_the_last_replica_goes() -> None:
    target = sleepy(0)
    first = decide(target, scene(target, live=1, post=(), pods=(pod_body(ready=True),)))
    assert steps(first) == [("EndpointSlice", Post(PORT, ADDRESSES, "IPv4"))]
    assert [step.kind for step in first.later] == ["Deployment"]
    then = decide(target, scene(target, live=1, post=ADDRESSES, pods=(pod_body(ready=True),)))
    assert steps(then) == [("Deployment", 0)]


@pytest.mark.parametrize("guards", [NOBODY, None], ids=["none answers", "not known yet"])
def test_without_activators_the_last_replica_stays(guards: Guards | None) -> None:
    target = sleepy(0)
    assert decide(target, scene(target, live=1, guards=guards, post=(), pods=(pod_body(ready=True),))).steps == ()


def test_while_it_is_not_known_who_there_is_nothing_changes() -> None:
    """After a restart of the operator the activators stand where they stood."""
    target = sleepy(0)
    found = decide(target, scene(target, live=0, guards=None, post=ADDRESSES))
    assert (found.steps, found.removals) == ((), ())


def test_at_zero_the_place_follows_the_activators() -> None:
    target = sleepy(0)
    other = Guards(PORT, ("10.0.0.11",))
    found = decide(target, scene(target, live=0, guards=other, post=ADDRESSES))
    assert steps(found) == [("EndpointSlice", Post(PORT, ("10.0.0.11",), "IPv4"))]


def test_going_up_the_activators_stay_until_a_replica_is_known_everywhere() -> None:
    target = sleepy(1)
    starting = decide(target, scene(target, live=1, post=ADDRESSES, pods=(pod_body(),)))
    assert (starting.steps, starting.handover) == ((), None)
    ready = scene(target, live=1, post=ADDRESSES, pods=(pod_body(ready=True),))
    early = decide(target, ready, now=READY_AT + 1)
    assert (early.steps, early.requeue_after) == ((), 2.0)
    assert steps(decide(target, ready, now=READY_AT + 3)) == [("EndpointSlice", Post(PORT, (), "IPv4"))]


def test_a_pod_that_drains_hands_nothing_over() -> None:
    target = sleepy(1)
    pods = (pod_body(ready=True, deleting=True),)
    assert decide(target, scene(target, live=1, post=ADDRESSES, pods=pods)).steps == ()


def test_a_replica_that_fails_later_is_not_stood_in_for() -> None:
    """The activators are never in the path above zero."""
    target = sleepy(1)
    assert decide(target, scene(target, live=1, post=(), pods=(pod_body(),))).steps == ()


def test_edited_places_are_corrected() -> None:
    target = sleepy(0)
    assert steps(decide(target, scene(target, live=0, post=("10.6.6.6",)))) == [
        ("EndpointSlice", Post(PORT, ADDRESSES, "IPv4"))
    ]


@pytest.mark.parametrize(
    ("change", "pods", "goes"),
    [
        ({"minReplicas": 1}, (pod_body(ready=True),), True),
        ({"minReplicas": 1}, (pod_body(),), False),
    ],
)
def test_who_may_not_go_to_zero_any_more_needs_no_place_once_it_serves(
    change: Body,
    pods: tuple[Body, ...],
    goes: bool,  # noqa: FBT001 - a row
) -> None:
    target = sleepy(1, **change)
    found = decide(target, scene(target, live=1, guards=Guards(None, ()), post=ADDRESSES, pods=pods))
    assert [one.name for one in found.removals] == (["qwen-activator"] if goes else [])


def test_suspended_there_is_no_place() -> None:
    target = sleepy(0) | {}
    target["spec"]["suspend"] = True
    found = decide(target, scene(target, live=0, guards=Guards(None, ()), post=ADDRESSES))
    assert [one.kind for one in found.removals] == ["EndpointSlice"]


def test_without_any_activators_the_place_goes_at_once() -> None:
    """Their addresses are nobody's: connections to them would hang."""
    target = sleepy(0)
    found = decide(target, scene(target, live=0, guards=Guards(None, ()), post=ADDRESSES))
    assert [one.kind for one in found.removals] == ["EndpointSlice"]


def test_nothing_of_it_concerns_other_objects() -> None:
    target = llm_body()
    assert decide(target, scene(target, live=1, guards=Guards(None, ()))).steps == ()


def available(found: Observed, *, wanted: int, suspended: bool = False) -> tuple[str, Reason, str]:
    """What the condition Available says."""
    scaling = Judgement(ConditionType.SCALING_ACTIVE, "True", Reason.SCALING, "")
    seen = judge(Scene(observed=found, wanted=wanted, suspended=suspended, scaling=scaling))
    (one,) = (judgement for judgement in seen if judgement.type is ConditionType.AVAILABLE)
    return one.status, one.reason, one.message


def test_at_zero_it_is_available_while_activators_stand_there() -> None:
    target = sleepy(0)
    words = "there is no replica; 2 activators hold requests that come, and a replica is started for them"
    assert available(scene(target, live=0, post=ADDRESSES), wanted=0) == ("True", Reason.SCALED_TO_ZERO, words)
    assert available(scene(target, live=0, post=()), wanted=0)[:2] == ("False", Reason.NONE_READY)
    assert available(scene(target, live=0, post=ADDRESSES), wanted=0, suspended=True)[0] == "False"


def test_while_it_starts_it_stays_available_and_says_that_requests_wait() -> None:
    target = sleepy(1)
    found = scene(target, live=0, post=ADDRESSES, pods=(pod_body(),))
    words = "no replica answers yet; 2 activators hold the requests"
    assert available(found, wanted=1) == ("True", Reason.SCALED_TO_ZERO, words)
