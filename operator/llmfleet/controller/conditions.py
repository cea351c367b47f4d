"""Observations -> the five conditions, one small function each. Pure.

Each condition is judged on its own; only the merge at the end knows what was there before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from llmfleet.api.conditions import ConditionType, Reason
from llmfleet.api.status import Condition
from llmfleet.controller.observed import Observed
from llmfleet.controller.starts import Aim, Start, StartHold
from llmfleet.engine.problem import Problem, Severity
from llmfleet.kube.pods import Obstacle, obstacle
from llmfleet.scaling.clock import rfc3339

MESSAGE_LENGTH = 1000


class Judgement(NamedTuple):
    """A condition without its history."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the conditions are judged from."""

    observed: Observed
    wanted: int
    suspended: bool
    problems: tuple[Problem, ...] = ()
    delayed: str = ""
    """Why the spec could not be applied this time, though it may be the next."""
    hung: tuple[str, ...] = ()
    """A sentence for each replica whose engine hangs and that stays."""
    start: Start | None = None
    """What failed starts have to say."""
    scaling: Judgement

    @property
    def error(self) -> Problem | None:
        """The first problem because of which the spec is not applied."""
        return next((problem for problem in self.problems if problem.severity is Severity.ERROR), None)

    @property
    def ready(self) -> int:
        """Replicas that answer."""
        return self.observed.deployment.ready if self.observed.deployment else 0

    @property
    def is_rolled_out(self) -> bool:
        """Every pod is of the present template, and the numbers are true."""
        live = self.observed.deployment
        if live is None or not live.is_observed or self.is_rolled_back:
            return False
        return live.updated == live.current and live.wanted == self.wanted

    @property
    def held(self) -> StartHold | None:
        """The start that waits for its next try."""
        return self.start.hold if self.start is not None and self.start.is_held else None

    @property
    def is_rolled_back(self) -> bool:
        """Replicas of an earlier spec serve because those of the present one do not start."""
        return self.start is not None and self.start.aim is Aim.EARLIER

    @property
    def is_served(self) -> bool:
        """The spec is applied, and at least as many replicas as wanted answer."""
        return self.is_rolled_out and not self.delayed and self.ready >= self.wanted

    @property
    def is_complete(self) -> bool:
        """Nothing is left to happen."""
        live = self.observed.deployment
        return self.is_served and live is not None and live.ready == live.current == self.wanted

    @property
    def stands_in(self) -> str:
        """What happens to requests while the activators answer instead of replicas; empty: they do not."""
        place = self.observed.slice
        if place is None or not place.addresses or self.suspended or self.held is not None:
            return ""
        who = "an activator holds" if len(place.addresses) == 1 else f"{len(place.addresses)} activators hold"
        if self.wanted == 0:
            return f"there is no replica; {who} requests that come, and a replica is started for them"
        return f"no replica answers yet; {who} the requests"

    @property
    def has_earlier(self) -> bool:
        """Replicas of an earlier spec are still there."""
        live = self.observed.deployment
        return live is not None and (not live.is_observed or live.updated < live.current) and live.ready > 0

    @property
    def count(self) -> str:
        """The numbers, as a part of a sentence."""
        return f"{self.ready} of {self.wanted} replicas are ready"


def judge(scene: Scene) -> tuple[Judgement, ...]:
    """All conditions."""
    block = None if scene.is_complete else obstacle(scene.observed.pods)
    return (
        _ready(scene, block),
        _available(scene),
        _progressing(scene, block),
        _spec_valid(scene),
        scene.scaling,
    )


def _ready(scene: Scene, block: Obstacle | None) -> Judgement:
    """The spec is applied and as many replicas as wanted answer."""
    if refused := _refusal(scene):
        return Judgement(ConditionType.READY, "False", *refused)
    if scene.is_served:
        return Judgement(ConditionType.READY, "True", Reason.AVAILABLE, scene.count)
    if scene.has_earlier and not scene.is_rolled_out:
        return Judgement(ConditionType.READY, "False", Reason.ROLLING_OUT, _with(scene.count, block, scene.delayed))
    broken = block is not None and (block.restarted or block.is_stuck)
    reason = Reason.DEGRADED if broken and scene.ready else Reason.STARTING
    return Judgement(ConditionType.READY, "False", reason, _with(scene.count, block, scene.delayed))


def _refusal(scene: Scene) -> tuple[Reason, str] | None:
    """Why the spec does not count as ready, however many replicas there are."""
    if scene.error:
        return Reason.INVALID, scene.error.message
    if scene.suspended:
        return Reason.SUSPENDED, "spec.suspend is true: there are no replicas"
    if scene.held:
        return Reason.START_HELD, f"{scene.count}; {_told(scene, scene.held)}"
    if scene.hung:
        return Reason.ENGINE_HUNG, "; ".join(scene.hung)
    return None


def _available(scene: Scene) -> Judgement:
    """At least one replica answers."""
    answering = scene.ready - len(scene.hung)
    if answering > 0:
        words = "1 replica answers" if answering == 1 else f"{answering} replicas answer"
        return Judgement(ConditionType.AVAILABLE, "True", Reason.MINIMUM_READY, words)
    if scene.stands_in:
        return Judgement(ConditionType.AVAILABLE, "True", Reason.SCALED_TO_ZERO, scene.stands_in)
    words = "no replica answers: their engines hang" if scene.hung else "no replica answers"
    return Judgement(ConditionType.AVAILABLE, "False", Reason.NONE_READY, words)


def _progressing(scene: Scene, block: Obstacle | None) -> Judgement:
    """A start or a rollout is under way and gets on."""
    live = scene.observed.deployment
    if scene.held:
        return Judgement(ConditionType.PROGRESSING, "False", Reason.START_HELD, _told(scene, scene.held))
    if found := _cause(scene, block):
        return Judgement(ConditionType.PROGRESSING, "False", *found)
    if block is not None:
        return Judgement(ConditionType.PROGRESSING, "True", block.stage, block.message)
    if live is not None and live.current > scene.wanted:
        words = f"{live.current} replicas are there, and {scene.wanted} are wanted"
        return Judgement(ConditionType.PROGRESSING, "True", Reason.DRAINING, words)
    if scene.is_complete or scene.error:
        return Judgement(ConditionType.PROGRESSING, "False", Reason.COMPLETE, "no rollout or start is under way")
    return Judgement(ConditionType.PROGRESSING, "True", Reason.LOADING, "pods are being created")


def _cause(scene: Scene, block: Obstacle | None) -> tuple[Reason, str] | None:
    """What stops a start or a rollout, the most telling cause first; None if nothing does."""
    live = scene.observed.deployment
    if live is not None and live.failure:
        return Reason.STUCK, live.failure
    if block is not None:
        return (block.stage, block.message) if block.is_stuck else None
    words = scene.delayed if live is None or scene.is_complete else scene.delayed or live.late
    return (Reason.STUCK, words) if words else None


def _told(scene: Scene, held: StartHold) -> str:
    """A held start: what failed, how often, what serves meanwhile, when it is tried again, how to correct it."""
    if held.is_rolled_back:
        meanwhile = f"{scene.ready} replicas of the earlier spec serve meanwhile"
    else:
        meanwhile = "no replica runs meanwhile, so the GPUs are free"
    return (
        f"{held.reason.value}: {held.message} The start failed {held.failures} times and is held; {meanwhile}. It is "
        f"tried again at {rfc3339(held.until)}; a corrected spec is tried at once."
    )


def _spec_valid(scene: Scene) -> Judgement:
    """Nothing in the spec is known to fail."""
    if scene.error:
        words = " ".join(problem.message for problem in scene.problems if problem.severity is Severity.ERROR)
        return Judgement(ConditionType.SPEC_VALID, "False", scene.error.reason, words)
    if refused := _refused_by_engine(scene):
        return Judgement(ConditionType.SPEC_VALID, "False", *refused)
    if scene.problems:
        words = " ".join(problem.message for problem in scene.problems)
        return Judgement(ConditionType.SPEC_VALID, "True", Reason.VALID_WITH_WARNINGS, words)
    return Judgement(ConditionType.SPEC_VALID, "True", Reason.VALID, "nothing in the spec is known to fail")


def _refused_by_engine(scene: Scene) -> tuple[Reason, str] | None:
    """What the engine says against the spec that it was started with; of a held start, what it said."""
    start = scene.start
    if start is not None and start.failure is not None and start.failure.blames_spec:
        return start.failure.reason, start.failure.words
    if start is not None and start.hold is not None and start.hold.blames_spec:
        return start.hold.reason, start.hold.message
    return None


def _with(sentence: str, block: Obstacle | None, delayed: str) -> str:
    """A sentence with what holds things up."""
    return "; ".join(part for part in (sentence, block.message if block else "", delayed) if part)


def merge(
    previous: Iterable[Condition], judgements: Iterable[Judgement], *, generation: int, now: str
) -> list[Condition]:
    """New conditions that keep the time of the last transition where the status did not change.

    Conditions of types that are not judged here are somebody else's and are left out: with server-side apply they stay.
    """
    before = {condition.type: condition for condition in previous}
    merged = []
    for kind, status, reason, message in judgements:
        old = before.get(kind)
        since = old.last_transition_time if old is not None and old.status == status else now
        merged.append(
            Condition(
                type=kind,
                status=status,
                observed_generation=generation,
                last_transition_time=since,
                reason=reason,
                message=message[:MESSAGE_LENGTH],
            )
        )
    return merged
