"""One rule of the catalogue: how to make it, and what may be turned."""

from collections.abc import Callable
from dataclasses import dataclass

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A rule, its defaults as shipped, and its one main knob."""

    name: str
    make: Callable[[Bounds, float], Rule]
    description: str
    """One line, for tables."""
    source: str
    """Project and version; the module's docstring has files and details."""
    knob: str
    """What the knob is, in the project's own words and unit."""
    default: Callable[[Bounds], float] | float
    """The knob as shipped."""
    grid: tuple[float, ...] = ()
    """Values to try when the knob is tuned, from eager to thrifty; none where it can only be worked out."""

    def rule(self, bounds: Bounds, knob: float | None = None) -> Rule:
        """A new rule; without a knob as shipped."""
        if knob is None:
            knob = self.default(bounds) if callable(self.default) else self.default
        return self.make(bounds, knob)
