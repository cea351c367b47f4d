"""A fleet of replicas in simulated time: gateway, router, pods that start, serve, drain and crash, and who scales them.

Second station of the simulator: trace -> fleet -> outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from llmfleet.sim.outcome import Outcome
from llmfleet.sim.rule import Rule
from llmfleet.sim.sequence import Limits
from llmfleet.sim.steptime import StepTime
from llmfleet.sim.trace import Trace

Router = Literal["least-requests", "round-robin"]
Victim = Literal["idlest", "newest"]


@dataclass(frozen=True, slots=True)
class Startup:
    """Time from a pod's creation to Ready: uniform within `spread` (a share) of `seconds`."""

    seconds: float = 120.0
    spread: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What goes wrong in a run."""

    crashes: tuple[float, ...] = ()
    """Seconds at which the engine of the busiest pod dies; its requests fail, and it starts again."""
    crashes_per_hour: float = 0.0
    """The same at random, for each ready pod."""
    page_loss: float = 0.0
    """Share of the pages of metrics that never come."""
    outages: tuple[tuple[float, float], ...] = ()
    """From, to (seconds): no page of any pod comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """What the fleet is made of."""

    limits: Limits
    step_time: StepTime
    startup: Startup = field(default_factory=Startup)
    min_replicas: int = 1
    max_replicas: int = 8
    initial: int | None = None
    """Ready replicas when the trace begins; None: min_replicas, but at least one."""
    router: Router = "least-requests"
    victim: Victim = "idlest"
    """Who goes at a scale-down; pods that are not ready always go first."""
    drain_seconds: float = 120.0
    """A pod that goes finishes its requests within this time; what is left fails."""
    hold_seconds: float = 300.0
    """How long the gateway holds a request while no replica is ready; then it fails."""
    gpus_per_replica: int = 1
    sample_seconds: float = 15.0
    failures: Failures = field(default_factory=Failures)


def simulate(
    fleet: FleetSpec, trace: Trace, rule: Rule, *, seed: int = 1, progress: Callable[[float], None] | None = None
) -> Outcome:
    """Play a trace to a fleet that a rule scales; `progress` is told the simulated seconds now and then."""
    raise NotImplementedError
