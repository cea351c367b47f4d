"""One pass over one LLMDeployment: observe -> desired -> plan -> apply -> report. The heart of the operator."""

import logging
import time
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from llmfleet.api.conditions import Reason
from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.controller import events, metrics, status
from llmfleet.controller.apply import apply
from llmfleet.controller.cache import Cache
from llmfleet.controller.cluster import Cluster
from llmfleet.controller.errors import ConflictError, InvalidError, ReconcileError, TransientError
from llmfleet.controller.observed import ObjectView
from llmfleet.controller.plan import Desired, Plan, desire, plan
from llmfleet.controller.queue import Key
from llmfleet.controller.recorder import Recorder
from llmfleet.controller.settings import explain
from llmfleet.controller.startups import Startups
from llmfleet.controller.status import Findings, ScalingReport
from llmfleet.engine.checks import Problem, Severity, check

logger = logging.getLogger(__name__)

REFUSED_PAUSE = 60.0
"""Seconds between tries of what the API server refused: what stood in the way (a quota, a foreign object) may go."""


@dataclass
class Reconciler:
    """The pass and what it needs."""

    cache: Cache
    cluster: Cluster
    settings: Settings
    recorder: Recorder
    startups: Startups
    reports: dict[Key, ScalingReport] = field(default_factory=dict)
    """What the autoscaler said last; it writes here."""
    visited: set[Key] = field(default_factory=set)
    """Objects over which at least one pass went: all caches were filled before."""

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
        # 2. desired: what cannot be read or is known to fail is not applied; what ran before still runs
        deployment, problems = read(observed.target, self.settings)
        findings = Findings(observed=observed, deployment=deployment, problems=problems)
        decided = Plan()
        failure: ReconcileError | None = None
        if deployment is not None and not any(problem.severity is Severity.ERROR for problem in problems):
            # 3. plan
            desired = desire(deployment, self.settings)
            decided = plan(desired, observed)
            # 4. apply, and see whether it did what it should
            try:
                await apply(decided.steps, self.cluster, self.cache)
                if decided.steps:
                    self._check(desired, key)
            except ReconcileError as error:
                if isinstance(error, TransientError) and not error.is_worth_telling:
                    raise
                failure = error
            findings = self._after(findings, decided, failure)
        # 5. report, also after a failure
        await self._report(key, findings)
        if isinstance(failure, TransientError):
            raise failure
        return REFUSED_PAUSE if failure else decided.requeue_after

    def _check(self, desired: Desired, key: Key) -> None:
        """Somebody may have written at the same moment; nobody else will announce it, since we hold the latest view."""
        observed = self.cache.observe(key)
        left = plan(desired, observed).steps if observed else ()
        if left:
            raise ConflictError("; ".join(f"after it was applied, the {step.kind} {step.reason}" for step in left))

    def _after(self, findings: Findings, decided: Plan, failure: ReconcileError | None) -> Findings:
        """The findings with what applying brought, on a fresh look."""
        target = findings.observed.target
        observed = self.cache.observe((target.namespace, target.name)) or findings.observed
        observed = replace(observed, target=target)  # the spec that was applied, not one that came meanwhile
        problems = findings.problems
        if isinstance(failure, InvalidError):
            self._count("invalid")
            problems = (Problem(failure.reason, str(failure)), *problems)
        delayed = str(failure) if isinstance(failure, TransientError) else "; ".join(decided.waits)
        return replace(findings, observed=observed, problems=problems, delayed=delayed)

    async def _report(self, key: Key, findings: Findings) -> None:
        """Write the status if it changed, and an Event for each transition."""
        observed = findings.observed
        old = status.previous_of(observed)
        is_unknown = old.engine is None or old.engine.startup_seconds is None
        startup = self.startups.note(key, observed.pods, of_any_age=is_unknown)
        findings = replace(findings, scaling=self.reports.get(key), startup_seconds=startup)
        new = status.build(findings, self.settings, now=time.time())
        if new == old:
            return
        target = observed.target
        stored = await self.cluster.apply_status(*key, uid=target.uid, status=new.dump())
        if stored is not None:
            self.cache.objects.put(stored)
            await self.recorder.post(target, events.transitions(old, new))

    def _forget(self, key: Key) -> None:
        self.reports.pop(key, None)
        self.visited.discard(key)
        self.startups.forget(key)

    @staticmethod
    def _count(kind: str) -> None:
        metrics.ERRORS.labels(kind).inc()
        if kind != "invalid":
            metrics.RECONCILES.labels(kind).inc()


def read(target: ObjectView, settings: Settings) -> tuple[LLMDeployment | None, tuple[Problem, ...]]:
    """The object as a model, with everything that is known against it."""
    try:
        deployment = LLMDeployment.parse(target.body)
    except ValidationError as error:
        words = f"The stored object is not valid any more: {explain(error)}. Correct it with `kubectl edit`."
        return None, (Problem(Reason.NOT_READABLE, words),)
    return deployment, tuple(check(deployment, settings))
