"""Starts that fail alike -> when to stop trying, what serves meanwhile, and when to try again. Pure.

A pod that cannot start holds its GPUs for ever: the kubelet tries again every few minutes, and a Deployment never gives
up. So after a few equal failures of pods that were never ready the start is held: the Deployment goes back to the
template whose replicas still serve, or, where there are none, to zero; later it is tried again, with growing pauses.
What is known about it stands in one annotation of the Deployment, written by the same request that holds the start, so
a crash leaves either all of it or nothing. Why so: operator/decisions/0014-held-starts.md.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from llmfleet.api.conditions import Reason
from llmfleet.engine.failures import Failure, Kind
from llmfleet.kube.pods import PodView

LIMITS = {Kind.PERMANENT: 3, Kind.ENVIRONMENT: 3, Kind.TRANSIENT: 6}
"""Equal failures after which a start is held."""
RETRY_LIMITS = {Kind.PERMANENT: 1, Kind.ENVIRONMENT: 1, Kind.TRANSIENT: 2}
"""The same, for a start that was held before for the same reason."""
PAUSES = (600, 1200, 2400, 3600)
"""Seconds until the next try; the last one again and again."""
MESSAGE_LENGTH = 600
ANNOTATION_LENGTH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class StartHold:
    """A start that is held, or tried again after it was."""

    inputs: str
    """Hash of what the template was made from: the hold ends with it."""
    reason: Reason
    message: str
    """Why the engine ended, and what to do."""
    blames_spec: bool
    failures: int
    """Starts that failed so far."""
    holds: int
    """How often it was held."""
    until: int
    """Unix time of the next try, seconds."""
    is_rolled_back: bool
    """Replicas of an earlier template serve meanwhile; else there are none."""

    def is_pausing(self, now: float) -> bool:
        """Whether the next try is still to come; a time that nobody can have written counts as over."""
        return now < self.until <= now + PAUSES[-1]

    def dump(self) -> str:
        """The annotation."""
        return json.dumps(
            {
                "inputs": self.inputs,
                "reason": self.reason.value,
                "message": self.message,
                "blamesSpec": self.blames_spec,
                "failures": self.failures,
                "holds": self.holds,
                "until": self.until,
                "rolledBack": self.is_rolled_back,
            },
            sort_keys=True,
        )

    @classmethod
    def parse(cls, text: str) -> "StartHold | None":
        """Read the annotation; None if there is none, or somebody wrote something else there."""
        if len(text) > ANNOTATION_LENGTH:
            return None
        try:
            found: dict[str, Any] = json.loads(text)
            return cls(
                inputs=str(found["inputs"]),
                reason=Reason(found["reason"]),
                message=str(found["message"])[:MESSAGE_LENGTH],
                blames_spec=found["blamesSpec"] is True,
                failures=int(found["failures"]),
                holds=max(1, int(found["holds"])),
                until=int(found["until"]),
                is_rolled_back=found["rolledBack"] is True,
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None


class Aim(Enum):
    """Which template the Deployment is to have."""

    SPEC = auto()
    """That of the spec."""
    EARLIER = auto()
    """One whose replicas serve while the start is held."""
    ANY = auto()
    """The one that it has; there are no replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What the Deployment is to be, as far as failed starts have a say in it."""

    replicas: int
    aim: Aim = Aim.SPEC
    hold: StartHold | None = None
    """What is to stand on the Deployment."""
    replica_set: str = ""
    """Name of the one whose template serves; with EARLIER."""
    reason: str = ""
    """Why something is to change, in words; empty: the usual course of things."""
    pause: float | None = None
    """Seconds until the next try; None if nothing is held."""
    failure: Failure | None = None
    """Why pods of the spec failed that were never ready."""

    @property
    def is_held(self) -> bool:
        """Whether the spec waits for its next try."""
        return self.aim is not Aim.SPEC


def judge(
    *,
    inputs: str,
    replicas: int,
    live_inputs: str,
    rendered: str,
    hold: StartHold | None,
    pods: Iterable[PodView],
    now: float,
) -> Start:
    """What to do about the pods of a spec.

    Args:
        inputs: hash of what the spec's template is made from.
        replicas: wanted ones.
        live_inputs: the same hash, of the template that the Deployment has.
        rendered: hash of that template, as its pods have it.
        hold: what stands on the Deployment.
        pods: of any template.
        now: Unix time, seconds.
    """
    known = hold if hold is not None and hold.inputs == inputs else None
    here = [pod for pod in pods if not pod.terminating]
    if known is not None and known.is_pausing(now):
        return _pausing(known, replicas, here, now)
    if live_inputs != inputs:  # not tried yet, or to be tried again
        return _trying(known, replicas)
    new = [pod for pod in here if rendered and pod.rendered == rendered]
    if any(pod.was_ready for pod in new):
        return Start(replicas=replicas, reason="the start that was held has succeeded" if known else "")
    failed = worst(new)
    start = replace(_trying(known, replicas), failure=failed[0] if failed else None)
    if failed is None or not replicas or failed[1] < _limit(failed[0], known):
        return start
    earlier = _serving(pod for pod in here if pod.rendered != rendered)
    return _holding(*failed, inputs=inputs, known=known, replicas=replicas, earlier=earlier, now=now)


def worst(pods: Iterable[PodView]) -> tuple[Failure, int] | None:
    """The failure that is nearest to its limit, and how often it was seen.

    Of what goes away by itself only one pod's count matters: an outage hits all of them at once.
    """
    counts: dict[Reason, int] = {}
    latest: dict[Reason, Failure] = {}
    for pod in sorted(pods, key=lambda pod: pod.created_at):
        failure = pod.failure
        if failure is None or not pod.failed_starts:
            continue
        before = counts.get(failure.reason, 0)
        is_shared = failure.kind is Kind.TRANSIENT
        counts[failure.reason] = max(before, pod.failed_starts) if is_shared else before + pod.failed_starts
        latest[failure.reason] = failure
    if not counts:
        return None
    reason = max(counts, key=lambda one: counts[one] / LIMITS[latest[one].kind])
    return latest[reason], counts[reason]


def _pausing(hold: StartHold, replicas: int, pods: list[PodView], now: float) -> Start:
    """The next try is still to come."""
    pause = hold.until - now
    if not hold.is_rolled_back:
        return Start(replicas=0, aim=Aim.ANY, hold=hold, pause=pause)
    return Start(replicas=replicas, aim=Aim.EARLIER, hold=hold, replica_set=_serving(pods), pause=pause)


def _trying(known: StartHold | None, replicas: int) -> Start:
    """The spec is to run; after a hold with one replica first, unless others serve, which must stay as many."""
    if known is None:
        return Start(replicas=replicas)
    first = replicas if known.is_rolled_back else min(1, replicas)
    return Start(replicas=first, hold=known, reason="the start that was held is tried again")


def _holding(
    failure: Failure, count: int, *, inputs: str, known: StartHold | None, replicas: int, earlier: str, now: float
) -> Start:
    """Enough: back to what serves, or to nothing."""
    holds = known.holds + 1 if known else 1
    pause = PAUSES[min(holds, len(PAUSES)) - 1]
    hold = StartHold(
        inputs=inputs,
        reason=failure.reason,
        message=failure.words[:MESSAGE_LENGTH],
        blames_spec=failure.blames_spec,
        failures=count + (known.failures if known else 0),
        holds=holds,
        until=int(now) + pause,
        is_rolled_back=bool(earlier),
    )
    return Start(
        replicas=replicas if earlier else 0,
        aim=Aim.EARLIER if earlier else Aim.ANY,
        hold=hold,
        replica_set=earlier,
        reason=f"{hold.failures} starts failed alike ({failure.reason.value}): held",
        pause=pause,
        failure=failure,
    )


def _limit(failure: Failure, known: StartHold | None) -> int:
    limits = RETRY_LIMITS if known is not None and known.reason is failure.reason else LIMITS
    return limits[failure.kind]


def _serving(pods: Iterable[PodView]) -> str:
    """Name of the ReplicaSet that has most of the ready pods; empty if none is ready."""
    counts: dict[str, int] = {}
    for pod in pods:
        if pod.ready and pod.owner_name:
            counts[pod.owner_name] = counts.get(pod.owner_name, 0) + 1
    return max(sorted(counts), key=lambda name: counts[name], default="")
