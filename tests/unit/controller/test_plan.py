"""What a pass does, by what is there."""

from dataclasses import replace
from typing import Any

import pytest

from llmfleet.api.settings import Settings
from llmfleet.controller.plan import Desired, Plan, Removal, Template, plan
from llmfleet.manifests.hashing import own_template_hash
from tests.unit.controller.bodies import SETTINGS, desired_of, lose, observed, running
from tests.unit.kube.bodies import llm_body

NOW = 1795000000.0

Bodies = dict[str, Any]
OBJECT = llm_body()
DESIRED = desired_of(OBJECT)


def decide(children: Bodies, *, desired: Desired = DESIRED) -> Plan:
    return plan(desired, observed(OBJECT, children), now=NOW)


def summary(found: Plan) -> list[tuple[str, str, Template]]:
    return [(step.kind, step.reason, step.template) for step in found.steps]


def test_at_first_everything_is_made_the_pods_in_the_next_pass() -> None:
    found = decide({})
    assert summary(found) == [
        ("Service", "does not exist", Template.NONE),
        ("PodDisruptionBudget", "does not exist", Template.NONE),
    ]
    pods = [("Deployment", "does not exist", Template.RENDERED)]
    assert [(step.kind, step.reason, step.template) for step in found.later] == pods
    assert all(step.uid == "" for step in (*found.steps, *found.later))
    others = {kind: body for kind, body in running(OBJECT).items() if kind != "Deployment"}
    assert (summary(decide(others)), decide(others).later) == (pods, ())


def test_then_there_is_nothing_to_do() -> None:
    found = decide(running(OBJECT))
    assert (found.steps, found.waits, found.requeue_after) == ((), (), None)


def test_replicas_keep_the_template() -> None:
    found = decide(running(OBJECT), desired=desired_of(llm_body(replicas=4)))
    assert summary(found) == [("Deployment", "replicas 1 -> 4", Template.KEPT)]
    assert found.steps[0].uid == "uid-of-Deployment"


@pytest.mark.parametrize(
    ("spec", "replicas"),
    [
        ({"replicas": 9, "scaling": {"maxReplicas": 4}}, 4),
        ({"replicas": 0, "scaling": {"minReplicas": 2, "maxReplicas": 4}}, 2),
    ],
)
def test_bounds_of_scaling_hold_whoever_wrote_the_replicas(spec: Bodies, replicas: int) -> None:
    found = decide(running(OBJECT), desired=desired_of(llm_body(**spec)))
    assert summary(found) == [("Deployment", f"replicas 1 -> {replicas}", Template.KEPT)]


def test_a_changed_spec_renders_the_template() -> None:
    found = decide(running(OBJECT), desired=desired_of(llm_body(engine={"maxNumSeqs": 7})))
    assert summary(found) == [("Deployment", "the spec changed", Template.RENDERED)]


def test_settings_that_an_object_uses_count_as_its_spec() -> None:
    changed = Settings.parse(SETTINGS.model_dump(by_alias=True) | {"engine": {"extraEnv": {"HF_ENDPOINT": "x"}}})
    assert summary(decide(running(OBJECT), desired=desired_of(OBJECT, changed)))[0][1] == "the spec changed"


def test_a_later_operator_that_renders_otherwise_changes_nothing() -> None:
    """The live template is not what would be rendered now, but nobody edited it, and the inputs are the same."""
    children = running(OBJECT)
    before = children["Deployment"]["spec"]["template"]["spec"]
    before["terminationGracePeriodSeconds"] = 7
    annotations = children["Deployment"]["metadata"]["annotations"]
    annotations["llmfleet.io/template-hash"] = own_template_hash(children["Deployment"])
    assert decide(children).steps == ()


def test_an_edit_of_our_part_of_the_template_renders_it() -> None:
    children = running(OBJECT)
    lose(children["Deployment"], "f:spec", "f:template", "f:spec", "f:terminationGracePeriodSeconds")
    assert summary(decide(children)) == [("Deployment", "its template was edited", Template.RENDERED)]


def test_a_foreign_annotation_in_the_template_is_no_edit() -> None:
    children = running(OBJECT)
    annotations = children["Deployment"]["spec"]["template"]["metadata"].setdefault("annotations", {})
    annotations["kubectl.kubernetes.io/restartedAt"] = "now"
    assert decide(children).steps == ()


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", ("f:spec", "f:strategy")),
        ("Deployment", ("f:metadata", "f:labels", "f:llmfleet.io/deployment")),
        ("Service", ("f:spec", "f:selector")),
        ("PodDisruptionBudget", ("f:spec", "f:maxUnavailable")),
    ],
)
def test_an_edit_of_our_fields_outside_the_template_is_taken_back(kind: str, path: tuple[str, ...]) -> None:
    children = running(OBJECT)
    lose(children[kind], *path)
    template = Template.KEPT if kind == "Deployment" else Template.NONE
    assert summary(decide(children)) == [(kind, "differs from what is wanted", template)]


GUARDED = llm_body(access={"networkPolicy": {"from": [{"podSelector": {}}]}})


def test_a_child_that_the_spec_no_longer_asks_for_is_deleted_as_it_was_seen() -> None:
    """And one of somebody else's, or one that is on its way out, is left alone."""
    children = running(GUARDED)
    assert decide(children, desired=desired_of(GUARDED)).removals == ()
    seen = Removal(kind="NetworkPolicy", name="qwen", uid="uid-of-NetworkPolicy", version=2)
    assert decide(children).removals == (seen,)
    assert decide(children).steps == ()
    children["NetworkPolicy"]["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert decide(children).removals == ()
    foreign = running(GUARDED)
    foreign["NetworkPolicy"]["metadata"]["ownerReferences"] = []
    assert decide(foreign).removals == ()


def test_selectors_that_are_empty_are_told_apart() -> None:
    """Every pod of this namespace, or of all: in both cases what is written is empty."""
    everywhere = llm_body(access={"networkPolicy": {"from": [{"namespaceSelector": {}}]}})
    found = decide(running(GUARDED), desired=desired_of(everywhere))
    assert summary(found) == [("NetworkPolicy", "differs from what is wanted", Template.NONE)]


def test_children_of_an_earlier_object_are_waited_for() -> None:
    children = running(llm_body(uid="22222222-0000-0000-0000-000000000000"))
    found = decide(children)
    assert found.steps == ()
    assert found.waits[0] == "the Service of an earlier object of this name is still being deleted"
    assert found.requeue_after is not None


def test_a_child_on_its_way_out_is_waited_for() -> None:
    children = running(OBJECT)
    children["Service"]["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert len(decide(children).waits) == 1


SCALED = llm_body(scaling={"mode": "HPA", "maxReplicas": 4})


def test_an_autoscaler_is_made_before_the_pods() -> None:
    kinds = [step.kind for step in decide({}, desired=desired_of(SCALED)).steps]
    assert kinds == ["Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"]
    assert decide(running(SCALED), desired=desired_of(SCALED)).steps == ()


def test_an_autoscaler_of_another_mode_is_removed_as_it_was_seen() -> None:
    """The rest stays as it is."""
    found = decide(running(SCALED))
    removal = Removal(kind="HorizontalPodAutoscaler", name="qwen", uid="uid-of-HorizontalPodAutoscaler", version=2)
    assert (found.removals, found.steps, found.waits) == ((removal,), (), ())


@pytest.mark.parametrize("change", ["another owner", "on its way out"])
def test_an_autoscaler_that_is_not_ours_or_goes_anyway_is_left_alone(change: str) -> None:
    children = running(llm_body(uid="2", **SCALED["spec"]) if change == "another owner" else SCALED)
    meta = children["HorizontalPodAutoscaler"]["metadata"]
    if change == "on its way out":
        meta["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert decide({"HorizontalPodAutoscaler": children["HorizontalPodAutoscaler"]}).removals == ()


BY_KEDA = llm_body(scaling={"mode": "KEDA", "maxReplicas": 4})


def plan_for(target: Bodies, children: Bodies, **seen: Any) -> Plan:
    return plan(desired_of(target), replace(observed(target, children), **seen), now=NOW)


def test_the_next_autoscaler_is_made_once_the_one_before_is_gone() -> None:
    """Also if that takes its time: two would pull at one number."""
    rest = {kind: body for kind, body in running(OBJECT).items() if kind in {"Service", "PodDisruptionBudget"}}
    rest |= {"Deployment": running(BY_KEDA)["Deployment"]}
    before = {"HorizontalPodAutoscaler": running(SCALED)["HorizontalPodAutoscaler"]}
    found = plan_for(BY_KEDA, rest | before)
    assert ([removal.kind for removal in found.removals], found.steps) == (["HorizontalPodAutoscaler"], ())
    before["HorizontalPodAutoscaler"]["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    found = plan_for(BY_KEDA, rest | before)
    assert (found.removals, found.steps, found.waits) == ((), (), ())
    assert [step.kind for step in plan_for(BY_KEDA, rest).steps] == ["ScaledObject"]


def test_what_keda_made_counts_as_keda() -> None:
    """The HorizontalPodAutoscaler of a ScaledObject goes a moment after it; it is not the operator's to delete."""
    left = {"keda-hpa": running(SCALED)["HorizontalPodAutoscaler"]}
    found = plan_for(SCALED, left)
    assert found.removals == ()
    assert "HorizontalPodAutoscaler" not in [step.kind for step in found.steps]


def test_without_keda_everything_else_is_made() -> None:
    found = plan_for(BY_KEDA, {}, keda_missing="the server could not find the requested resource")
    assert [step.kind for step in found.steps] == ["Service", "PodDisruptionBudget"]
    assert [step.kind for step in found.later] == ["Deployment"]
