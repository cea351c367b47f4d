"""When a start is held, what serves meanwhile, and when it is tried again: the whole course in steps.

Time is a number here; the Deployment is the real view of a real manifest, so that what is decided is also what is
written and read back.
"""

from dataclasses import replace
from typing import Any

import pytest

from llmfleet.api.conditions import Reason
from llmfleet.controller.observed import Observed
from llmfleet.controller.plan import Plan, Template, plan
from llmfleet.controller.starts import PAUSES, Aim, StartHold, judge, worst
from llmfleet.engine.failures import Kind
from llmfleet.kube.pods import PodView, view_pod
from llmfleet.manifests.deployment import adjusted, going_back, with_template_hash
from llmfleet.manifests.names import INPUTS_HASH, RENDERED_HASH
from tests.unit.controller.bodies import desired_of, manifests_of, observed, running, stored
from tests.unit.kube.bodies import container, llm_body, pod_body

NOW = 1795000000.0
TOO_LONG = "ValueError: User-specified max_model_len (9) is greater than the derived max_model_len (n=8 or x"
IN_USE = (
    "ValueError: Free memory on device cuda:0 (1.0/80.0 GiB) on startup is less than desired GPU memory utilization "
    "(0.9, 72.0 GiB)."
)
NO_GPU = "RuntimeError: No CUDA GPUs are available"

Body = dict[str, Any]


def failed(name: str, times: int, *, words: str = TOO_LONG, rendered: str = "new", owner: str = "qwen-2") -> PodView:
    """A pod that crash-loops and was never ready."""
    end = {"exitCode": 1, "reason": "Error", "message": words}
    state = container(waiting={"reason": "CrashLoopBackOff"}, restarts=times - 1, last=end)
    return of(pod_body(name, containerStatuses=[state]), rendered, owner)


def serving(name: str, *, rendered: str = "old", owner: str = "qwen-1") -> PodView:
    return of(pod_body(name, ready=True), rendered, owner)


def of(body: Body, rendered: str, owner: str) -> PodView:
    return replace(view_pod(body), rendered=rendered, owner_name=owner)


def held(**changes: Any) -> StartHold:
    base = StartHold(
        inputs="H",
        reason=Reason.CONTEXT_TOO_LONG,
        message="Too long.",
        blames_spec=True,
        failures=3,
        holds=1,
        until=int(NOW) + 600,
        is_rolled_back=False,
    )
    return replace(base, **changes)


def decide(*pods: PodView, hold: StartHold | None = None, replicas: int = 2, live: str = "H", now: float = NOW) -> Any:
    return judge(inputs="H", replicas=replicas, live_inputs=live, rendered="new", hold=hold, pods=pods, now=now)


@pytest.mark.parametrize(
    ("words", "times", "is_held"),
    [
        (TOO_LONG, 2, False),
        (TOO_LONG, 3, True),
        (NO_GPU, 2, False),
        (NO_GPU, 3, True),
        (IN_USE, 5, False),
        (IN_USE, 6, True),
    ],
)
def test_equal_failures_of_one_pod_hold_the_start(words: str, times: int, is_held: bool) -> None:  # noqa: FBT001
    """Three where only a change helps, six where waiting may."""
    start = decide(failed("a", times, words=words))
    assert (start.is_held, start.replicas) == ((True, 0) if is_held else (False, 2))
    assert (start.hold is not None) == is_held
    assert start.failure is not None


def test_failures_of_several_pods_add_up_where_only_a_change_helps() -> None:
    assert decide(failed("a", 1), failed("b", 1)).is_held is False
    assert decide(failed("a", 1), failed("b", 1), failed("c", 1)).is_held


def test_an_outage_hits_all_pods_at_once_and_counts_once() -> None:
    pods = [failed(name, 2, words=IN_USE) for name in "abcdef"]
    assert decide(*pods).is_held is False


def test_different_failures_do_not_add_up() -> None:
    assert decide(failed("a", 2), failed("b", 2, words=NO_GPU)).is_held is False


def test_the_failure_nearest_to_its_limit_is_told() -> None:
    found = worst([failed("a", 4, words=IN_USE), failed("b", 2, words=NO_GPU)])
    assert found is not None
    assert (found[0].reason, found[1]) == (Reason.GPU_MEMORY_IN_USE, 4)
    assert worst([serving("x")]) is None


def test_a_template_of_which_one_replica_came_up_is_never_held() -> None:
    """It works; what fails beside it has another cause, and zero replicas would cut what serves."""
    assert decide(failed("a", 9), serving("b", rendered="new")).is_held is False


def test_a_pod_that_served_once_is_not_counted() -> None:
    """The kubelet starts it again."""
    conditions = [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-22T12:05:00Z"}]
    end = {"exitCode": 1, "reason": "Error", "message": TOO_LONG}
    state = container(waiting={"reason": "CrashLoopBackOff"}, restarts=9, last=end)
    body = pod_body("a", conditions=conditions, startTime="2026-11-22T12:00:00Z", containerStatuses=[state])
    assert decide(of(body, "new", "qwen-2")) == decide()


def test_pods_of_an_earlier_template_and_pods_on_their_way_out_do_not_count() -> None:
    leaving = replace(failed("b", 9), terminating=True)
    assert decide(failed("a", 9, rendered="old"), leaving).is_held is False


def test_nothing_is_held_where_nothing_is_wanted() -> None:
    assert decide(failed("a", 9), replicas=0).is_held is False


def test_what_serves_keeps_its_number() -> None:
    """Back to the template of the ReplicaSet with most ready pods."""
    pods = [serving("x"), serving("y", owner="qwen-0"), serving("z"), failed("a", 3)]
    start = decide(*pods, replicas=4)
    assert (start.aim, start.replica_set, start.replicas) == (Aim.EARLIER, "qwen-1", 4)
    assert start.hold is not None
    assert start.hold.is_rolled_back


def test_what_stands_on_the_deployment_is_read_back() -> None:
    start = decide(failed("a", 3))
    assert start.hold is not None
    assert StartHold.parse(start.hold.dump()) == start.hold
    assert (start.hold.reason, start.hold.failures, start.hold.holds) == (Reason.CONTEXT_TOO_LONG, 3, 1)
    assert (start.hold.until, start.pause) == (NOW + 600, 600)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"inputs": 1}', "[" * 4000, "x" * 100000, held().dump().replace("1795000600", "1e999")],
)
def test_what_cannot_be_read_is_nothing(text: str) -> None:
    """Anybody with rights in the namespace may write there."""
    assert StartHold.parse(text) is None


@pytest.mark.parametrize("until", [NOW - 1, NOW, NOW + PAUSES[-1] + 60])
def test_a_time_that_is_over_or_that_nobody_can_have_written_does_not_hold(until: float) -> None:
    start = decide(hold=held(until=int(until)))
    assert start.is_held is False


def test_while_held_nothing_moves() -> None:
    """Neither by the pods that still show, nor by the number that an autoscaler wants; the next look has its time."""
    for replicas in (1, 5):
        start = decide(failed("a", 9), hold=held(), replicas=replicas, now=NOW + 60)
        assert (start.replicas, start.aim, start.hold, start.pause) == (0, Aim.ANY, held(), 540)


def test_while_an_earlier_template_serves_its_replicas_follow_the_wish() -> None:
    start = decide(serving("x"), hold=held(is_rolled_back=True), replicas=5, live="G")
    assert (start.replicas, start.aim, start.replica_set) == (5, Aim.EARLIER, "qwen-1")


def test_it_is_tried_again_with_one_replica() -> None:
    """So that a fleet of eight does not take eight GPUs to learn the same again."""
    start = decide(hold=held(), replicas=8, now=NOW + 601)
    assert (start.replicas, start.aim, start.hold, start.pause) == (1, Aim.SPEC, held(), None)


def test_beside_an_earlier_template_it_is_tried_again_as_a_rollout() -> None:
    start = decide(serving("x"), hold=held(is_rolled_back=True), replicas=8, live="G", now=NOW + 601)
    assert (start.replicas, start.aim) == (8, Aim.SPEC)


@pytest.mark.parametrize(
    ("words", "reason", "times", "is_held"),
    [
        (TOO_LONG, Reason.CONTEXT_TOO_LONG, 1, True),
        (IN_USE, Reason.GPU_MEMORY_IN_USE, 1, False),
        (IN_USE, Reason.GPU_MEMORY_IN_USE, 2, True),
        (TOO_LONG, Reason.GPU_MEMORY_IN_USE, 2, False),
        (TOO_LONG, Reason.GPU_MEMORY_IN_USE, 3, True),
    ],
)
def test_a_try_gets_fewer_chances(words: str, reason: Reason, times: int, is_held: bool) -> None:  # noqa: FBT001
    """Of the reason that is known already; another one is counted from the beginning."""
    start = decide(failed("a", times, words=words), hold=held(reason=reason), now=NOW + 700)
    assert start.is_held is is_held


def test_pauses_grow_up_to_an_hour() -> None:
    hold, pauses, now = None, [], NOW
    for _ in range(6):
        start = decide(failed("a", 3), hold=hold, now=now)
        hold = start.hold
        assert hold is not None
        pauses.append(hold.until - now)
        now = hold.until + 1.0
    assert pauses == [600, 1200, 2400, 3600, 3600, 3600]
    assert hold is not None
    assert (hold.holds, hold.failures) == (6, 18)


def test_a_try_that_succeeds_ends_the_hold() -> None:
    start = decide(serving("a", rendered="new"), hold=held(), replicas=8, now=NOW + 700)
    assert (start.hold, start.replicas, start.is_held) == (None, 8, False)


def test_limits_are_known_for_every_kind() -> None:
    assert decide(failed("a", 2)).failure.kind is Kind.PERMANENT


# --- the same through the plan and the manifests


OLD = llm_body()
BAD = llm_body(generation=2, engine={"maxModelLen": 200000}, replicas=2)
FIXED = llm_body(generation=3, engine={"maxModelLen": 4096}, replicas=2)


class World:
    """One Deployment, to which steps are applied as the API server would store them."""

    def __init__(self, target: Body) -> None:
        self.children = running(target)
        self.pods: list[PodView] = []
        self.now = NOW
        self.replica_sets = {"qwen-1": self.replica_set("old-hash")}

    @property
    def deployment(self) -> Body:
        return self.children["Deployment"]

    @property
    def rendered(self) -> str:
        return str(self.deployment["spec"]["template"]["metadata"]["annotations"][RENDERED_HASH])

    def replica_set(self, pod_template_hash: str) -> Body:
        """As the Deployment controller makes it from the present template."""
        template = self.deployment["spec"]["template"]
        labels = template["metadata"]["labels"] | {"pod-template-hash": pod_template_hash}
        metadata = template["metadata"] | {"labels": labels, "creationTimestamp": None}
        annotations = self.deployment["metadata"]["annotations"] | {"deployment.kubernetes.io/revision": "1"}
        return {"metadata": {"annotations": annotations}, "spec": {"template": template | {"metadata": metadata}}}

    def observe(self, target: Body) -> Observed:
        return replace(observed(target, self.children), pods=tuple(self.pods))

    def decide(self, target: Body) -> Plan:
        return plan(desired_of(target), self.observe(target), now=self.now)

    def reconcile(self, target: Body) -> list[tuple[str, Template]]:
        """Decide and apply until nothing is left to do."""
        done = []
        while steps := self.decide(target).steps:
            (step,) = steps
            assert step.start is not None
            done.append((step.reason, step.template))
            manifest = {one["kind"]: one for one in manifests_of(target)}["Deployment"]
            hold = step.start.hold.dump() if step.start.hold else ""
            manifest = adjusted(manifest, replicas=step.start.replicas, hold=hold, inputs=step.inputs_hash)
            if step.template is Template.EARLIER:
                manifest = going_back(manifest, self.replica_sets[step.start.replica_set])
            if step.template is Template.KEPT:
                manifest["spec"]["template"] = self.deployment["spec"]["template"]
            self.children["Deployment"] = stored(with_template_hash(manifest, stored(manifest)))
            assert len(done) < 5, done
        return done


def test_a_changed_spec_that_fails_goes_back_and_a_corrected_one_goes_through() -> None:
    world = World(OLD)
    before = world.rendered
    world.pods = [serving("x", rendered=before)]
    assert world.reconcile(BAD) == [("the spec changed", Template.RENDERED)]
    bad = world.rendered
    assert bad != before
    world.pods.append(failed("y", 3, rendered=bad))
    assert world.reconcile(BAD) == [("3 starts failed alike (ContextTooLong): held", Template.EARLIER)]
    assert world.rendered == before
    assert world.deployment["spec"]["replicas"] == 2
    assert world.deployment["metadata"]["annotations"][INPUTS_HASH] == desired_of(OLD).inputs_hash
    assert "pod-template-hash" not in world.deployment["spec"]["template"]["metadata"]["labels"]
    assert world.decide(BAD).requeue_after == 600
    world.now, world.pods = world.now + 601, world.pods[:1]
    assert world.reconcile(BAD) == [("the start that was held is tried again", Template.RENDERED)]
    assert world.rendered == bad
    assert world.reconcile(BAD) == []
    assert world.reconcile(FIXED) == [("the spec changed", Template.RENDERED)]
    assert world.decide(FIXED).start.hold is None
    assert "llmfleet.io/start-hold" not in world.deployment["metadata"]["annotations"]


def test_back_to_the_old_spec_rolls_nothing() -> None:
    """While it is held, the user takes the change back: what serves is what is wanted."""
    world = World(OLD)
    world.pods = [serving("x", rendered=world.rendered)]
    world.reconcile(BAD)
    world.pods.append(failed("y", 3, rendered=world.rendered))
    world.reconcile(BAD)
    world.pods = world.pods[:1]
    done = world.reconcile(OLD)
    assert [template for _, template in done] == [Template.KEPT]
    assert "llmfleet.io/start-hold" not in world.deployment["metadata"]["annotations"]


def test_a_first_spec_that_fails_goes_to_zero_and_is_tried_again_with_one() -> None:
    world = World(BAD)
    world.pods = [failed("y", 3, rendered=world.rendered)]
    assert [template for _, template in world.reconcile(BAD)] == [Template.KEPT]
    assert world.deployment["spec"]["replicas"] == 0
    world.pods = []
    assert world.reconcile(BAD) == []
    world.now += 601
    assert world.reconcile(BAD) == [("replicas 0 -> 1", Template.KEPT)]
    world.pods = [serving("z", rendered=world.rendered)]
    assert world.reconcile(BAD) == [("the start that was held has succeeded", Template.KEPT)]
    assert world.deployment["spec"]["replicas"] == 2


def test_a_suspended_object_is_suspended() -> None:
    """A changed suspend is a changed spec: the hold ends, and there are no replicas."""
    world = World(BAD)
    world.pods = [failed("y", 3, rendered=world.rendered)]
    world.reconcile(BAD)
    world.reconcile(llm_body(generation=3, engine={"maxModelLen": 200000}, replicas=2, suspend=True))
    assert world.deployment["spec"]["replicas"] == 0
    assert "llmfleet.io/start-hold" not in world.deployment["metadata"]["annotations"]


def test_a_hold_survives_the_operator() -> None:
    """Everything stands on the Deployment: another process, later, decides the same."""
    world = World(BAD)
    world.pods = [failed("y", 3, rendered=world.rendered)]
    world.reconcile(BAD)
    world.now += 100
    assert world.decide(BAD).steps == ()
    assert world.decide(BAD).requeue_after == 500


def test_whoever_removes_the_annotation_has_it_tried_at_once() -> None:
    world = World(BAD)
    world.pods = [failed("y", 3, rendered=world.rendered)]
    world.reconcile(BAD)
    world.pods = []
    del world.deployment["metadata"]["annotations"]["llmfleet.io/start-hold"]
    assert world.reconcile(BAD) == [("replicas 0 -> 2", Template.KEPT)]
