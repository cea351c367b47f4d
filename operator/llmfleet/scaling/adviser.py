"""Keeps what is recommended for one object, and since when. Called by the loop after each decision; holds no clock.

window -> recommendations -> here -> report. What was said stays word for word while its reason holds and the value that
it proposes is about the same: numbers that move a little are no news and no write. Memory is of this process: for its
first hour the stored recommendations stand, unless the spec changes.
"""

from dataclasses import dataclass, field

from llmfleet.api import status
from llmfleet.api.conditions import Advice
from llmfleet.scaling.clock import rfc3339
from llmfleet.scaling.evidence import Case, Recommendation
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.ports import WatchedObject
from llmfleet.scaling.recommendations import LEAST_SECONDS, advise
from llmfleet.scaling.signals import PodSignals
from llmfleet.scaling.window import Window

REVIEW_SECONDS = 600.0
"""Seconds between two reviews: sums over hours do not change faster."""
SAME = 0.25
"""Share by which a proposed value may move without being said anew."""


@dataclass(slots=True)
class Adviser:
    """One object's window and what was said of it."""

    told: tuple[status.Recommendation, ...] = ()
    """What is recommended; at first what the status says."""
    _window: Window = field(default_factory=Window)
    _targets: dict[str, float] = field(default_factory=dict)
    """Proposed values, by reason."""
    _due: float = 0.0

    def look(self, watched: WatchedObject, fleet: Fleet, *, wanted: int, now: float, wall: float) -> None:
        """Take in one look at the fleet, and review what is recommended when it is time.

        Args:
            watched: the object.
            fleet: what its engines say.
            wanted: replicas that the load asks for, whatever the bounds.
            now: monotonic seconds.
            wall: Unix time.
        """
        if self._window.add(fleet, watched.facts, watched.config, wanted=wanted, now=now):
            self.told = ()
        if now < self._due:
            return
        self._due, seen = now + REVIEW_SECONDS, self._window.seen
        if seen.seconds < LEAST_SECONDS:
            return
        engine = next((one.signals for one in fleet.serving), PodSignals())
        case = Case(
            seen=seen,
            facts=watched.facts,
            config=watched.config,
            replicas=watched.replicas,
            kv_cache_tokens=fleet.kv_cache_tokens,
            kv_cache_dtype=engine.kv_cache_dtype,
            prefix_caching=engine.prefix_caching,
            standing={Advice(one.reason) for one in self.told if one.reason in set(Advice)},
        )
        before = {one.reason: one for one in self.told}
        self.told = tuple(self._said(one, before.get(one.reason), wall) for one in advise(case))
        self._targets = {reason: value for reason, value in self._targets.items() if reason in _reasons(self.told)}

    def _said(self, new: Recommendation, old: status.Recommendation | None, wall: float) -> status.Recommendation:
        """The old sentence where it still says about the same; else the new one, since when the reason holds."""
        known = self._targets.setdefault(new.reason, new.target)
        if old is not None and abs(new.target - known) <= SAME * known:
            return old
        self._targets[new.reason] = new.target
        since = old.since if old is not None else rfc3339(wall)
        return status.Recommendation(reason=new.reason, message=new.message, since=since)


def _reasons(told: tuple[status.Recommendation, ...]) -> set[str]:
    return {one.reason for one in told}
