"""Which objects are asked for: the requests that wait, and for a while those that could not. Pure."""

from collections import Counter
from dataclasses import dataclass, field

LINGER = 30.0
"""Seconds for which a request that was refused for want of a replica still counts: its client comes again."""


@dataclass
class Demand:
    """By the objects' uids; times are monotonic seconds."""

    asking: Counter[str] = field(default_factory=Counter)
    refused_at: dict[str, float] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    """When an object was asked for first since it last had a replica."""

    def came(self, uid: str, now: float) -> bool:
        """A request waits from now on; whether it is the first."""
        self.asking[uid] += 1
        is_first = uid not in self.since
        self.since.setdefault(uid, now)
        return is_first

    def went(self, uid: str) -> None:
        """It waits no more."""
        self.asking[uid] -= 1
        if not self.asking[uid]:
            del self.asking[uid]

    def refused(self, uid: str, now: float) -> None:
        """A request could not wait, or not longer."""
        self.refused_at[uid] = now
        self.since.setdefault(uid, now)

    def served(self, uid: str) -> None:
        """The object has a replica: nothing that was asked before counts."""
        self.refused_at.pop(uid, None)
        self.since.pop(uid, None)

    def asked_for(self, uid: str, now: float) -> float:
        """Seconds since the object was asked for first."""
        return now - self.since.get(uid, now)

    def wanted(self, now: float) -> set[str]:
        """Objects that should have a replica."""
        self.refused_at = {uid: at for uid, at in self.refused_at.items() if now - at < LINGER}
        wanted = {*self.asking, *self.refused_at}
        self.since = {uid: at for uid, at in self.since.items() if uid in wanted}
        return wanted
