"""What the policy remembers of one object between two decisions: wishes, changes, and who else writes. Pure."""

from dataclasses import dataclass, replace

from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.learning import Estimate
from llmfleet.scaling.load import SILENCE, Load

MANAGER = "llmfleet-autoscaler"
"""Field manager with which the autoscaler writes /scale."""
TAKEOVERS = 3
"""Times that somebody else may write over our number within TAKEOVER_WINDOW before we stand back."""
TAKEOVER_WINDOW = 300.0
"""Seconds; an HPA writes every 15 s, a person rarely three times in five minutes."""
STAND_BACK = 900.0
"""Seconds without a foreign write after which we try again."""
LEARNING = 0.3
"""Weight of a new sight of what a full replica serves."""
MEMORY = 3600.0
"""Seconds for which it is remembered."""
REST = 2.0
"""Delays after replicas were added before any are taken away: a load that has just grown often does so again, and
each replica costs a start."""
HISTORY = 5
"""Changes remembered."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of replicas that was written."""

    time: str
    """RFC 3339."""
    before: int
    after: int
    reason: str
    """The term that decided, or "bounds"; between one replica and none "idle", "demand" or "activator"."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the policy remembers of one object."""

    since: float | None = None
    """When this memory began: operator start, change of leader, end of a suspension."""
    delay: float = 0.0
    """The scale-down delay under which `peaks` was kept."""
    peaks: tuple[tuple[float, int], ...] = ()
    """(time, wish) within the delay, each larger than all later ones: the first is the largest."""
    raised_at: float | None = None
    """When replicas were added last."""
    seen: int | None = None
    """The current number as seen or written last."""
    ours: bool = False
    """Whether that number is our own writing."""
    takeovers: tuple[float, ...] = ()
    """When somebody else wrote over our number."""
    stand_back_until: float | None = None
    service_rate: float | None = None
    """Requests per second that a full replica served, smoothed."""
    learnt_at: float = 0.0
    """When that was seen last."""
    load: Load = SILENCE
    """What comes in."""
    estimate: Estimate | None = None
    """How fast the engines are."""
    inputs: str = ""
    """What those engines were made from."""
    idle_since: float | None = None
    """When the object was first seen without any request, and ever since; None: it has some, or nobody knows."""
    history: tuple[Change, ...] = ()
    """The last changes, newest first."""


def learnt(state: State, rate: float | None, now: float) -> State:
    """Take in what full replicas serve now; forget what was seen long ago, for requests may have changed since."""
    if rate is not None:
        old = rate if state.service_rate is None else state.service_rate
        return replace(state, service_rate=old + LEARNING * (rate - old), learnt_at=now)
    is_old = state.service_rate is not None and now - state.learnt_at > MEMORY
    return replace(state, service_rate=None) if is_old else state


def listened(config: ScalingConfig, fleet: Fleet, state: State) -> State:
    """Take in what the replicas did since the last look: what came, and how fast they were."""
    newest = [one.signals.interval for one in fleet.serving if one.signals.interval is not None]
    estimate = state.estimate
    if estimate is None or estimate.start != config.start or state.inputs != fleet.inputs:
        estimate = Estimate.of(config.start)
    estimate = estimate.learnt(one for one in newest if one.at > state.load.taken)
    return replace(state, load=state.load.after(newest), estimate=estimate, inputs=fleet.inputs)


def applied(state: State, *, before: int, after: int, cause: str, message: str, time: str) -> State:
    """The memory after a number was written at `time` (RFC 3339)."""
    change = Change(time, before, after, cause, message)
    return replace(state, seen=after, ours=True, history=(change, *state.history)[:HISTORY])


def noticed(config: ScalingConfig, fleet: Fleet, state: State, now: float) -> State:
    """Begin a memory, and take note of a number that is not the one we left.

    A person's number, like a longer delay, is a fresh start: it stands for one whole delay before it may fall.
    """
    if state.since is None:
        state = replace(state, since=now, seen=fleet.current, ours=False)
        return remembered(replace(state, delay=config.scale_down_delay), now, fleet.current)
    foreign = fleet.current != state.seen and fleet.replicas_manager != MANAGER
    takeover = foreign and state.ours
    if foreign or config.scale_down_delay > state.delay:
        state = remembered(state, now, fleet.current)
    if (state.delay, state.seen) != (config.scale_down_delay, fleet.current):
        state = replace(state, delay=config.scale_down_delay, seen=fleet.current, ours=state.ours and not foreign)
    return _stood_back(state, now, takeover=takeover, foreign=foreign)


def _stood_back(state: State, now: float, *, takeover: bool, foreign: bool) -> State:
    """Count how often our number was written over; stand back from a fight, and come back after a quiet time."""
    recent = tuple(time for time in state.takeovers if now - time <= TAKEOVER_WINDOW)
    if takeover or recent != state.takeovers:
        state = replace(state, takeovers=(*recent, now) if takeover else recent)
    until = state.stand_back_until
    if len(state.takeovers) >= TAKEOVERS or (until is not None and foreign):
        return replace(state, takeovers=(), stand_back_until=now + STAND_BACK)
    return replace(state, stand_back_until=None) if until is not None and now >= until else state


def remembered(state: State, now: float, wish: int) -> State:
    """Keep the wish for the delay, and drop those that are older or smaller than a later one."""
    kept = tuple((time, old) for time, old in state.peaks if now - time < state.delay and old > wish)
    return replace(state, peaks=(*kept, (now, wish)))


def settled(state: State, now: float) -> bool:
    """Whether this memory reaches back one whole delay."""
    return state.since is not None and now - state.since >= state.delay


def rested(state: State, now: float) -> bool:
    """Whether the last replicas that were added have been there for long enough to be taken away again."""
    return state.raised_at is None or now - state.raised_at >= REST * state.delay
