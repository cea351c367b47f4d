"""How fast Kubernetes lets replicas move: the second half of the HorizontalPodAutoscaler.

Source: kubernetes v1.34.4, pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas, and the same
WithBehaviors) and pkg/apis/autoscaling/v2/defaults.go. What a metric asks for is first held against the answers of the
windows before, then against how many replicas came or went in the periods of the policies. An HPA without `behavior` is
another code path: its ceiling is twice the replicas or four, and not four more, as the defaults of `behavior` say.
"""

from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from llmfleet.sim.peers.bounds import Bounds

DOWN_WINDOW = 300
"""Seconds: the controller manager's --horizontal-pod-autoscaler-downscale-stabilization."""
_FACTOR, _FLOOR = 2, 4


@dataclass(frozen=True, slots=True)
class Policy:
    """At most so many replicas, or so many percent, in so many seconds."""

    kind: Literal["Percent", "Pods"]
    value: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Direction:
    """One half of `behavior`: the window is in seconds, `select` says which of the policies counts."""

    window: float
    policies: tuple[Policy, ...]
    select: Literal["Max", "Min", "Disabled"] = "Max"


DEFAULT_UP = Direction(0, (Policy("Pods", 4, 15), Policy("Percent", 100, 15)))
DEFAULT_DOWN = Direction(DOWN_WINDOW, (Policy("Percent", 100, 15),))


@dataclass(frozen=True, slots=True)
class Behavior:
    """`spec.behavior`; a half that is not given gets Kubernetes' defaults."""

    up: Direction = DEFAULT_UP
    down: Direction = DEFAULT_DOWN


@dataclass(slots=True)
class Pace:
    """The controller's memory of one HPA. Times are seconds."""

    bounds: Bounds
    behavior: Behavior | None = None
    down_window: float = DOWN_WINDOW
    """Seconds; counts only without `behavior`."""
    _asked: list[tuple[float, int]] = field(default_factory=list)
    _moves: list[tuple[float, int]] = field(default_factory=list)

    def begin(self, now: float, current: int) -> None:
        """The number found at the first look counts as an answer, so that a fresh memory does not drop replicas."""
        if not self._asked:
            self._asked.append((now, current))

    def limited(self, now: float, current: int, asked: int) -> int:
        """The number that will be written when the metrics ask for `asked`."""
        if self.behavior is None:
            steady = max([asked, *(n for at, n in self._asked if at >= now - self.down_window)])
            self._remember(now, asked, longest=self.down_window)
            most = min(self.bounds.most, max(_FACTOR * current, _FLOOR))
            return max(self.bounds.least, min(steady, most))
        up, down = self.behavior.up, self.behavior.down
        floor = min([asked, *(n for at, n in self._asked if at > now - up.window)])
        ceiling = max([asked, *(n for at, n in self._asked if at > now - down.window)])
        self._remember(now, asked, longest=max(up.window, down.window))
        return self._rated(self.behavior, now, current, min(max(current, floor), ceiling))

    def moved(self, now: float, before: int, after: int) -> None:
        """Remember a write."""
        if self.behavior is not None:
            policies = self.behavior.up.policies + self.behavior.down.policies
            longest = max(policy.seconds for policy in policies)
            self._moves = [move for move in self._moves if move[0] > now - longest]
            self._moves.append((now, after - before))

    def _remember(self, now: float, asked: int, *, longest: float) -> None:
        self._asked = [(at, n) for at, n in self._asked if at >= now - longest]
        self._asked.append((now, asked))

    def _rated(self, behavior: Behavior, now: float, current: int, wanted: int) -> int:
        if wanted > current:
            most = max(current, self._limit(now, current, behavior.up, up=True))
            return min(wanted, most, self.bounds.most)
        if wanted < current:
            least = min(current, self._limit(now, current, behavior.down, up=False))
            return max(wanted, least, self.bounds.least)
        return wanted

    def _limit(self, now: float, current: int, direction: Direction, *, up: bool) -> int:
        if direction.select == "Disabled":
            return current
        limits = []
        for policy in direction.policies:
            # Replicas at the period's beginning, as far as this controller moved them.
            start = current - sum(change for at, change in self._moves if at > now - policy.seconds)
            sign = 1 if up else -1
            if policy.kind == "Pods":
                limits.append(start + sign * policy.value)
            else:
                part = start * (1 + sign * policy.value / 100)
                limits.append(ceil(part) if up else int(part))
        return max(limits) if up == (direction.select == "Max") else min(limits)
