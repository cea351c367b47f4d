"""Replaces replicas whose engine hangs: the one place that acts on what `hangs` finds.

Called by the loop for each object in each cycle. At most one deletion of an object is under way; what was deleted is
remembered with the object, and read from its status after a restart, so that a crash of the operator does not lift the
caps. Suspicions are not kept: a new process watches for a whole grace anew.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from llmfleet.api.settings import HangSettings
from llmfleet.scaling.clock import Clock
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.hangs import REMEMBERED, Choice, Patient, Suspicion, Ward, choose, examine, recent
from llmfleet.scaling.metrics import ScalingMetrics
from llmfleet.scaling.ports import Actuator, Conflict, PodRef, Replacement, WatchedObject

WRITE_SECONDS = 30.0
"""Longest time for a deletion."""
REFUSED_PAUSE = 60.0
"""Seconds after which a deletion that was refused is tried again: a right may have been granted."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class HangMemory:
    """What is remembered of one object."""

    past: tuple[Replacement, ...] = ()
    """Newest first."""
    suspicions: dict[str, Suspicion] = field(default_factory=dict)
    """By pod uid."""
    deleted: set[str] = field(default_factory=set)
    """uids of pods that were deleted and are still seen."""
    deleting: str = ""
    """uid of the pod whose deletion is under way."""
    refused: str = ""
    """Why the last deletion failed."""
    refused_until: float = 0.0
    """Monotonic seconds."""
    told: tuple[str, ...] = ()
    """A sentence for each replica that hangs and stays."""


@dataclass(frozen=True, kw_only=True)
class HangGuard:
    """One for all objects."""

    actuator: Actuator
    clock: Clock
    metrics: ScalingMetrics
    settings: HangSettings
    is_leader: Callable[[], bool]
    _recent: set[tuple[str, str, int]] = field(default_factory=set, init=False)
    """The last hour's replacements, of all objects: uid of the object, pod, Unix time in whole seconds."""

    def begin(self, watched: WatchedObject) -> HangMemory:
        """The memory of an object that is seen for the first time: what its status tells."""
        self._recent.update((watched.ref.uid, one.pod, int(one.at)) for one in watched.replaced)
        return HangMemory(watched.replaced)

    def watch(self, tasks: asyncio.TaskGroup, watched: WatchedObject, fleet: Fleet, known: HangMemory) -> None:
        """Look at an object's engines, and start the replacement of one that hangs."""
        ward = self._ward(watched, fleet, known)
        choice = choose(ward, self.settings, self.clock.wall())
        if self.clock.monotonic() < known.refused_until:
            choice = Choice(obstacle=known.refused)
        if choice.patient is not None and not known.deleting:
            self._start(tasks, watched, choice.patient, known)
        hung = ward.hung
        known.told = tuple(_stays(one, choice.obstacle) for one in hung if one.pod.uid != known.deleting)
        self.metrics.watched(watched.ref, hung=len(hung))

    def _ward(self, watched: WatchedObject, fleet: Fleet, known: HangMemory) -> Ward:
        """The replicas as they are now; what is thought of them is brought up to date on the way."""
        known.deleted &= {pod.uid for pod in watched.pods}
        pairs = tuple(zip(watched.pods, fleet.replicas, strict=True))
        gone = known.deleted | {known.deleting}
        serving = [(pod, replica.signals) for pod, replica in pairs if _serves(pod) and pod.uid not in gone]
        before, known.suspicions = known.suspicions, {}
        for pod, signals in serving:
            found = examine(before.get(pod.uid), signals, watched.facts, self.settings)
            if found is not None:
                known.suspicions[pod.uid] = found
                self._count(watched, pod, before.get(pod.uid), found)
        now, began = self.clock.monotonic(), [one.since for one in known.suspicions.values() if one.confirmed]
        self._recent.intersection_update([one for one in self._recent if recent([one[2]], self.clock.wall())])
        return Ward(
            patients=tuple(Patient(pod, signals, known.suspicions.get(pod.uid)) for pod, signals in serving),
            changing=sum(not pod.unschedulable and not (_serves(pod) and pod.uid not in gone) for pod in watched.pods),
            waited=now - min(began, default=now),
            patience=watched.facts.startup_timeout,
            past=known.past,
            elsewhere=len(self._recent),
        )

    def _count(self, watched: WatchedObject, pod: PodRef, before: Suspicion | None, found: Suspicion) -> None:
        if found.confirmed and not (before and before.confirmed):
            _log.warning("%s/%s: %s hangs: %s", watched.ref.namespace, watched.ref.name, pod.name, found.confirmed)
            self.metrics.hangs.labels(watched.ref.namespace, watched.ref.name).inc()

    def _start(self, tasks: asyncio.TaskGroup, watched: WatchedObject, patient: Patient, known: HangMemory) -> None:
        """Count it before it is done: other objects decide meanwhile, and the cap is for all."""
        pod, at = patient.pod, int(self.clock.wall())
        message = f"{pod.name} had {_numbers(patient)}; it was replaced"
        known.deleting, known.refused = pod.uid, ""
        self._recent.add((watched.ref.uid, pod.name, at))
        tasks.create_task(self._replace(watched, pod, known, Replacement(at, pod.name, message)))

    async def _replace(self, watched: WatchedObject, pod: PodRef, known: HangMemory, record: Replacement) -> None:
        ref, is_done = watched.ref, False
        try:
            if self.is_leader():
                async with asyncio.timeout(WRITE_SECONDS):
                    await self.actuator.replace(ref, pod)
                is_done = True
        except Conflict:
            _log.info("%s/%s: %s changed meanwhile; it is looked at anew", ref.namespace, ref.name, pod.name)
        except Exception as error:  # noqa: BLE001 (one bad object never harms the others)
            _log.warning("%s/%s: %s could not be deleted: %s", ref.namespace, ref.name, pod.name, error)
            self.metrics.errors.labels("replace").inc()
            known.refused = f"its pod could not be deleted ({str(error) or type(error).__name__})"
            known.refused_until = self.clock.monotonic() + REFUSED_PAUSE
        finally:
            known.deleting = ""
            if is_done:
                known.past = (record, *known.past)[:REMEMBERED]
                self.metrics.replaced.labels(ref.namespace, ref.name).inc()
                known.deleted.add(pod.uid)
                _log.warning("%s/%s: %s", ref.namespace, ref.name, record.message)
            else:
                self._recent.discard((ref.uid, record.pod, int(record.at)))


def _serves(pod: PodRef) -> bool:
    return pod.ready and not pod.terminating


def _numbers(patient: Patient) -> str:
    return patient.suspicion.confirmed if patient.suspicion else ""


def _stays(patient: Patient, obstacle: str) -> str:
    return f"{patient.pod.name} has {_numbers(patient)}, and is not replaced: {obstacle or 'one goes at a time'}"
