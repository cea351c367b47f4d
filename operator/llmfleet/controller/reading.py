"""One generation of an object, read and judged: what follows from it and the settings, and from nothing that moves."""

from typing import NamedTuple

from pydantic import ValidationError

from llmfleet.api.conditions import Reason
from llmfleet.api.settings import Settings
from llmfleet.api.status import PlanStatus
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.controller.plan import Desired, desire
from llmfleet.engine import version as versions
from llmfleet.engine.checks import check
from llmfleet.engine.memory import plan_status
from llmfleet.engine.memory.planning import case, outlook
from llmfleet.engine.problem import Problem, Severity
from llmfleet.engine.version import image_of
from llmfleet.kube.objects import ObjectView
from llmfleet.process.settings import explain


class Known(NamedTuple):
    """What follows from one generation of an object alone."""

    uid: str
    generation: int
    deployment: LLMDeployment | None
    """None if the stored object cannot be read."""
    problems: tuple[Problem, ...]
    desired: Desired | None
    """None if nothing is to be applied."""
    plan: PlanStatus | None = None
    """The memory plan; None if the stored object cannot be read."""
    is_comparable: bool = False
    """Whether engines count their KV cache as the plan does."""
    told: str = ""
    """The version that engines told, and by which it was judged where nothing else says it."""
    startup: int = 0
    """Seconds of a start to which an autoscaler is sized; 0 where there is none."""


def read(target: ObjectView, settings: Settings, *, told: str = "", startup: int = 0) -> Known:
    """Parse, check, and work out what the object should have.

    Args:
        target: the object.
        settings: the administrator's.
        told: version that the engines of this very spec tell; it is judged by where neither tag nor settings have one.
            What is applied does not depend on it: pods that run must not be replaced for what they said.
        startup: seconds of a start to which its autoscaler is sized.
    """
    try:
        deployment = LLMDeployment.parse(target.body)
    except ValidationError as error:
        words = f"The stored object is not valid any more: {explain(error)}. Correct it with `kubectl edit`."
        return Known(target.uid, target.generation, None, (Problem(Reason.NOT_READABLE, words),), None)
    by = versions.as_told(settings, image_of(deployment.spec, settings), told)
    of = case(deployment, by)
    seen = outlook(of)
    problems = tuple(check(deployment, by, seen=seen))
    is_refused = any(problem.severity is Severity.ERROR for problem in problems)
    desired = None if is_refused else desire(deployment, settings, startup=startup)
    planned, comparable = plan_status.status_of(seen), plan_status.is_comparable(of)
    return Known(target.uid, target.generation, deployment, problems, desired, planned, comparable, told, startup)
