"""What the loop remembers of objects and of the engine processes of their pods."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from llmfleet.scaling.adviser import Adviser
from llmfleet.scaling.fleet import Fleet, Replica
from llmfleet.scaling.guard import HangMemory
from llmfleet.scaling.ports import PodRef, WatchedObject
from llmfleet.scaling.report import Report
from llmfleet.scaling.signals import read
from llmfleet.scaling.state import State
from llmfleet.scaling.status import Published
from llmfleet.scaling.track import Track


@dataclass(slots=True)
class PodMemory:
    """One engine process."""

    track: Track | None = None
    suspect: bool = False
    """Whether the last look at it timed out."""
    looking: bool = False
    """Whether a look is under way."""
    version: str | None = None
    """vLLM's version as the engine told it; empty: it does not tell; None: not asked yet."""


@dataclass(slots=True)
class ObjectMemory:
    """One object."""

    state: State
    hangs: HangMemory
    adviser: Adviser
    published: Published | None = None
    report: Report = field(default_factory=Report)
    """What the controller was told last."""
    kv_cache_tokens: int | None = None
    """Capacity of one replica's KV cache, as last known."""
    engine_version: str = ""
    """vLLM's version as the engines told it last."""
    decided_at: float | None = None
    writing: bool = False
    """Whether a write is under way."""
    echo_of: str = ""
    """The resourceVersion that our last write replaced: until it is gone from the directory, nothing is decided."""
    echo_until: float = 0.0
    """Monotonic seconds after which the echo is no longer waited for."""
    anew_at: float = -inf
    """Monotonic seconds at which was last decided anew after a conflict."""
    view: tuple[WatchedObject, Fleet] | None = None
    """The object and its engines at the last decision."""
    _pods: dict[tuple[str, float | None], PodMemory] = field(default_factory=dict)
    """By uid and container start: a restarted container is another process."""

    def pod(self, pod: PodRef) -> PodMemory:
        """The memory of a pod, an empty one for a new pod."""
        process = pod.uid, pod.started_at
        if process not in self._pods:
            self._pods[process] = PodMemory()
        return self._pods[process]

    def version(self, pods: Iterable[PodRef]) -> str:
        """What the youngest of the pods that told a version told; empty if none did."""
        told = [(pod.created_at, known.version) for pod in pods if (known := self.pod(pod)).version]
        return max(told)[1] or "" if told else ""

    def keep(self, pods: tuple[PodRef, ...]) -> None:
        """Forget all other pods."""
        alive = {(pod.uid, pod.started_at) for pod in pods}
        self._pods = {process: known for process, known in self._pods.items() if process in alive}

    def rest(self) -> None:
        """The autoscaler does not scale this object: when it does again, it watches for a whole delay first."""
        self.state, self.published, self.decided_at = State(history=self.state.history), None, None

    def elapsed(self, now: float) -> float:
        """Seconds since the last look, which this one takes the place of; 0 at the first."""
        before, self.decided_at = self.decided_at, now
        return now - before if before is not None else 0.0

    def said(self) -> Report:
        """All that is to be told now."""
        return Report(
            scaling=self.published.status if self.published else None,
            kv_cache_tokens=self.kv_cache_tokens,
            version=self.engine_version,
            hung=self.hangs.told,
            replaced=self.hangs.past,
            recommendations=self.adviser.told,
        )

    def awaits_echo(self, resource_version: str, now: float) -> bool:
        """Whether the directory still shows the object as it was before our write."""
        return self.echo_of == resource_version and now < self.echo_until

    def fleet(self, watched: WatchedObject, *, now: float, stale_after: float) -> Fleet:
        """The object with what its pods say, as the policy sees it."""
        return Fleet(
            current=watched.replicas,
            replicas=tuple(self._replica(pod, now=now, stale_after=stale_after) for pod in watched.pods),
            replicas_manager=watched.replicas_manager,
            suspended=watched.suspended,
            quota_exceeded=watched.quota_exceeded,
            inputs=watched.facts.inputs,
            demanded=watched.demanded,
            wakeable=watched.wakeable,
        )

    def _replica(self, pod: PodRef, *, now: float, stale_after: float) -> Replica:
        return Replica(
            name=pod.name,
            ready=pod.ready,
            terminating=pod.terminating,
            unschedulable=pod.unschedulable,
            created_at=pod.created_at,
            deletion_cost=pod.deletion_cost,
            signals=read(self.pod(pod).track, now=now, stale_after=stale_after),
        )
