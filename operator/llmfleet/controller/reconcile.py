"""One pass over one LLMDeployment: observe -> desired -> plan -> apply -> report. The heart of the operator."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment, ScalingMode
from llmfleet.controller import events, metrics, status
from llmfleet.controller.apply import Applier
from llmfleet.controller.cache import Cache
from llmfleet.controller.observed import Observed
from llmfleet.controller.plan import Desired, Manifest, Plan, plan
from llmfleet.controller.reading import Known, read
from llmfleet.controller.recorder import Recorder
from llmfleet.controller.settled import Settled
from llmfleet.controller.startups import FailedStarts, Restarts, Startups
from llmfleet.controller.status import Findings
from llmfleet.engine.problem import Problem
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import ConflictError, InvalidError, ReconcileError, TransientError
from llmfleet.kube.resources import Key
from llmfleet.manifests import activator_slice
from llmfleet.manifests.children import children
from llmfleet.scaling.ports import ObjectRef
from llmfleet.scaling.report import Report

logger = logging.getLogger(__name__)

REPORT_PAUSE = 0.5
"""Seconds after which the status is written when something was applied: by then there are pods to speak of."""
REFUSED_PAUSE = 60.0
"""Seconds between tries of what the API server refused: what stood in the way (a quota, a foreign object) may go."""


async def no_marks(_: ObjectRef, __: int) -> None:
    """Nobody knows yet which pods are idle."""


def ignore(_: Key) -> None:
    """Nobody minds."""


@dataclass
class Reconciler:
    """The pass and what it needs."""

    cache: Cache
    cluster: Cluster
    applier: Applier
    settings: Settings
    recorder: Recorder
    startups: Startups
    settled: Settled
    failed_starts: FailedStarts
    restarts: Restarts
    reports: dict[Key, Report] = field(default_factory=dict)
    """What the scaling loop said last; it writes here."""
    mark_victims: Callable[[ObjectRef, int], Awaitable[None]] = no_marks
    """Sees to it that the idlest pods of an object go when so many are to remain; the scaling loop's, once it runs."""
    on_gone: Callable[[Key], None] = ignore
    """Told of an object that is no more."""
    visited: set[Key] = field(default_factory=set)
    """Objects over which at least one pass went: all caches were filled before."""
    _known: dict[Key, Known] = field(default_factory=dict)

    async def __call__(self, key: Key) -> float | None:
        """Run one pass and account for its end.

        Returns:
            Seconds after which another pass is wanted; None: when something happens.
        """
        try:
            with metrics.RECONCILE_SECONDS.time():
                again = await self.reconcile(key)
        except TransientError as error:
            logger.warning("%s/%s: %s", *key, error)
            self._count("transient")
            raise
        except Exception:
            logger.exception("%s/%s: a bug; the object is tried again later", *key)
            self._count("bug")
            raise
        metrics.RECONCILES.labels("ok").inc()
        return again

    async def reconcile(self, key: Key) -> float | None:
        """The pass."""
        # 1. observe
        observed = self.cache.observe(key)
        if observed is None or observed.target.deleting:
            self._forget(key)  # its children go by garbage collection
            return None
        self.visited.add(key)
        self.failed_starts.note(key, observed.pods)
        self.restarts.note(key, observed.pods)
        # 2. desired: what cannot be read or is known to fail is not applied; what ran before still runs
        rest = self.settled.note(key, observed, now=time.monotonic())
        startup = self.startups.note(key, observed.pods, of_any_age=observed.target.startup_seconds is None)
        known = self._read(key, observed, told=self._told(key) if rest == 0 else "", startup=startup)
        findings = Findings(
            observed=observed,
            deployment=known.deployment,
            problems=known.problems,
            plan=known.plan,
            can_measure=rest == 0 and known.is_comparable,
            report=self.reports.get(key),
            startup_seconds=startup,
        )
        if known.deployment is None or known.desired is None:
            await self._report(key, findings)
            return None
        # 3. plan
        decided = plan(known.desired, observed, now=time.time())
        findings = replace(findings, start=decided.start)
        # 4. apply; the report comes with the next pass, which sees what Kubernetes made of it
        try:
            if decided.steps or decided.removals:
                await self._mark_victims(observed, known.deployment, decided)
                await self.applier.apply(decided, self._manifests(known.deployment, decided, startup=known.startup))
                self._check(known.desired, key, decided)
                return 0.0 if decided.later else REPORT_PAUSE
        except ReconcileError as error:
            if isinstance(error, TransientError) and not error.is_worth_telling:
                raise
            await self._report(key, self._failed(findings, error))
            if isinstance(error, TransientError):
                raise
            return REFUSED_PAUSE
        # 5. report
        await self._report(key, replace(findings, delayed="; ".join(decided.waits)))
        return decided.requeue_after or rest or None

    def _manifests(self, deployment: LLMDeployment, decided: Plan, *, startup: int) -> list[Manifest]:
        """All children, and the activators' place as the plan wants it."""
        posts = [step.post for step in decided.steps if step.post is not None]
        slices = [activator_slice.render(deployment, **post._asdict()) for post in posts]
        return [*children(deployment, self.settings, startup=startup), *slices]

    def _read(self, key: Key, observed: Observed, *, told: str, startup: int | None) -> Known:
        """The object as a model, judged, and what it should have; worked out once for each generation.

        And once more when its engines tell a version (when they fall silent, the last one counts), and when starts take
        another time than its autoscaler is sized to.
        """
        known, target, pace = self._known.get(key), observed.target, observed.pace(startup)
        if known is None or told not in {"", known.told} or known[:2] != (target.uid, target.generation):
            known = self._known[key] = read(target, self.settings, told=told, startup=pace)
        elif known.startup != pace:
            known = self._known[key] = read(target, self.settings, told=known.told, startup=pace)
        return known

    def _told(self, key: Key) -> str:
        """The version that the engines tell."""
        report = self.reports.get(key)
        return report.version if report else ""

    async def _mark_victims(self, observed: Observed, deployment: LLMDeployment, decided: Plan) -> None:
        """Before somebody else's smaller number takes effect; the built-in autoscaler does so before its own."""
        live, target = observed.deployment, observed.target
        wanted = next((step.start.replicas for step in decided.steps if step.start), None)
        if live is None or wanted is None or not 0 < wanted < live.wanted:
            return
        if deployment.scaled_by is not ScalingMode.BUILTIN:
            await self.mark_victims(ObjectRef(target.namespace, target.name, target.uid), wanted)

    def _check(self, desired: Desired, key: Key, done: Plan) -> None:
        """Somebody may have written at the same moment; nobody else will announce it, since we hold the latest view."""
        observed = self.cache.observe(key)
        kinds = {step.kind for step in done.steps}
        again = plan(desired, observed, now=time.time()).steps if observed else ()
        left = [step for step in again if step.kind in kinds]
        if left:
            raise ConflictError("; ".join(f"after it was applied, the {step.kind} {step.reason}" for step in left))

    def _failed(self, findings: Findings, error: ReconcileError) -> Findings:
        """The findings with what stopped the pass."""
        if not isinstance(error, InvalidError):
            return replace(findings, delayed=str(error))
        self._count("invalid")
        return replace(findings, problems=(Problem(error.reason, str(error)), *findings.problems))

    async def _report(self, key: Key, findings: Findings) -> None:
        """Write the status if it changed, and an Event for each transition."""
        observed = findings.observed
        old = status.previous_of(observed)
        new = status.build(findings, self.settings, now=time.time())
        if new == old:
            return
        target = observed.target
        stored = await self.cluster.apply_status(*key, uid=target.uid, status=new.dump())
        if stored is not None:
            self.cache.objects.put(stored)
            await self.recorder.post(target, events.transitions(old, new))

    def _forget(self, key: Key) -> None:
        self.on_gone(key)
        self.reports.pop(key, None)
        self.visited.discard(key)
        self._known.pop(key, None)
        self.startups.forget(key)
        self.settled.forget(key)
        self.failed_starts.forget(key)
        self.restarts.forget(key)

    @staticmethod
    def _count(kind: str) -> None:
        metrics.ERRORS.labels(kind).inc()
        if kind != "invalid":
            metrics.RECONCILES.labels(kind).inc()
