"""What a simulated fleet is made of, and what goes wrong in it. `fleet.py` plays it."""

from dataclasses import dataclass, field
from random import Random
from typing import Literal

from llmfleet.sim.sequence import Limits
from llmfleet.sim.steptime import StepTime

Router = Literal["least-requests", "round-robin"]
Victim = Literal["idlest", "newest"]


@dataclass(frozen=True, slots=True)
class Startup:
    """Time from a pod's creation to Ready: uniform within `spread` (a share) of `seconds`."""

    seconds: float = 120.0
    spread: float = 0.2

    def draw(self, random: Random) -> float:
        """One start, in seconds."""
        return self.seconds * (1 + self.spread * random.uniform(-1, 1))


@dataclass(frozen=True, slots=True)
class ApiServer:
    """What stands between gateway and engine in each pod: vLLM's HTTP server, which is one process.

    The defaults are what brings the time to first token of an H200 with vLLM 0.26 (8B) nearest to what was measured
    where nothing waits, in closed and open loop (`python -m tests.bench.simulator_h200`); another simulator, BLIS,
    found about 15 ms as well. A step takes as long with it as without.
    """

    serial_seconds: float = 0.0025
    """Work for each request that no other request overlaps: they are taken in turn."""
    latency_seconds: float = 0.015
    """What else each first token waits for."""


NO_API_SERVER = ApiServer(0.0, 0.0)
"""The engine alone."""


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

    def loses_page(self, now: float, random: Random) -> bool:
        """Whether a page of this moment never comes."""
        return any(start <= now < end for start, end in self.outages) or (
            self.page_loss > 0 and random.random() < self.page_loss
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """What the fleet is made of."""

    limits: Limits
    step_time: StepTime
    max_model_len: int | None = None
    """Longer prompts are refused, and longer answers cut; None: all that the KV cache holds."""
    startup: Startup = field(default_factory=Startup)
    min_replicas: int = 1
    max_replicas: int = 8
    initial: int | None = None
    """Ready replicas when the trace begins; None: min_replicas, but at least one."""
    router: Router = "least-requests"
    victim: Victim = "idlest"
    """Who goes at a scale-down: our operator marks the idlest, a ReplicaSet left alone takes the newest. Pods that are
    not ready always go first."""
    drain_seconds: float = 120.0
    """A pod that goes finishes its requests within this time; what is left fails."""
    withdrawal_seconds: float = 10.0
    """How long a ready pod that goes waits at least, so that every proxy has dropped it: our preStop hook."""
    exit_seconds: float = 5.0
    """From its last answer until its GPUs are free."""
    hold_seconds: float = 300.0
    """How long the gateway holds a request while no replica is ready; then it fails."""
    wake_seconds: float | None = 1.0
    """At zero replicas: from a request to the wish for one. None: only the rule wakes."""
    gpus_per_replica: int = 1
    api_server: ApiServer = field(default_factory=ApiServer)
    sample_seconds: float = 15.0
    failures: Failures = field(default_factory=Failures)

    def __post_init__(self) -> None:
        if not 0 <= self.min_replicas <= self.max_replicas or self.max_replicas < 1:
            raise ValueError(
                f"a fleet needs 0 <= min_replicas <= max_replicas and a replica at most, got min_replicas "
                f"{self.min_replicas} and max_replicas {self.max_replicas}"
            )

    @property
    def first_replicas(self) -> int:
        """Ready replicas when the trace begins."""
        return max(1, self.min_replicas) if self.initial is None else self.initial

    def bounded(self, replicas: int) -> int:
        """Within min_replicas and max_replicas."""
        return max(self.min_replicas, min(self.max_replicas, replicas))
