"""Our own policy as a rule of the simulator: the very functions that the operator runs, with its own periods.

View -> pages -> `track.observe` -> `signals.read` -> `policy.decide`. Only the API server is left out: the number is in
force with the next view.
"""

from dataclasses import dataclass, field

from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet, Replica
from llmfleet.scaling.policy import Decision, decide, written
from llmfleet.scaling.signals import read
from llmfleet.scaling.state import MANAGER, State
from llmfleet.scaling.track import Sample, Track, observe
from llmfleet.sim.rule import PodView, Timing, View

TIMING = Timing(period=5.0, scrape=5.0, lag=0.5)
"""The loop decides half a second after its looks."""


@dataclass(slots=True)
class Ours:
    """The operator's autoscaler."""

    config: ScalingConfig
    timing: Timing = TIMING
    stale_after: float = 20.0
    state: State = field(default_factory=State)
    decision: Decision | None = None
    """The last one, for whoever wants to know why."""
    _tracks: dict[str, Track] = field(default_factory=dict)

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        self._tracks = {pod.name: track for pod in view.pods if (track := self._observed(pod)) is not None}
        fleet = Fleet(
            current=view.replicas,
            replicas=tuple(self._replica(pod, view.now) for pod in view.pods),
            replicas_manager=MANAGER,
            wakeable=True,  # what waits at zero the simulated fleet wakes for, as the activator does
        )
        self.decision, self.state = decide(self.config, fleet, self.state, view.now)
        if self.decision.write:
            self.state = written(self.state, self.decision, f"{view.now:.0f} s")
        return self.decision.wanted

    def _observed(self, pod: PodView) -> Track | None:
        known = self._tracks.get(pod.name)
        if pod.page is None or pod.page_at is None:
            return known
        return observe(known, Sample(pod.page_at, pod.page))

    def _replica(self, pod: PodView, now: float) -> Replica:
        return Replica(
            name=pod.name,
            ready=pod.ready,
            terminating=pod.terminating,
            created_at=pod.created_at,
            signals=read(self._tracks.get(pod.name), now=now, stale_after=self.stale_after),
        )
