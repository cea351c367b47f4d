"""Posts Events about LLMDeployments. Best effort: an Event that cannot be posted never fails a pass."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from llmfleet.controller.events import EventDraft
from llmfleet.kube.cluster import Cluster
from llmfleet.kube.errors import ReconcileError
from llmfleet.kube.objects import ObjectView
from llmfleet.kube.resources import LLMS
from llmfleet.scaling.clock import rfc3339

logger = logging.getLogger(__name__)

QUIET = 600.0
"""Seconds in which the same Event about the same object is posted once."""
MESSAGE_LENGTH = 1024
"""Longest message that Kubernetes takes."""


class Recorder:
    """Posts each Event once in a while."""

    def __init__(self, cluster: Cluster, *, identity: str) -> None:
        self._cluster = cluster
        self._identity = identity
        self._posted: dict[tuple[str, str, str], float] = {}

    async def post(self, target: ObjectView, drafts: Sequence[EventDraft]) -> None:
        """Post the Events that were not just posted."""
        now = time.monotonic()
        self._posted = {what: at for what, at in self._posted.items() if now - at < QUIET}
        for draft in drafts:
            what = (target.uid, draft.reason, draft.message)
            if what in self._posted:
                continue
            self._posted[what] = now
            try:
                await self._cluster.create_event(self._event(target, draft))
            except ReconcileError as error:
                logger.warning("%s/%s: an Event could not be posted: %s", target.namespace, target.name, error)

    def _event(self, target: ObjectView, draft: EventDraft) -> dict[str, Any]:
        at = rfc3339(time.time())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{target.name}.", "namespace": target.namespace},
            "involvedObject": {
                "apiVersion": LLMS.api_version,
                "kind": LLMS.kind,
                "namespace": target.namespace,
                "name": target.name,
                "uid": target.uid,
                "resourceVersion": str(target.version),
            },
            "type": draft.type,
            "reason": draft.reason,
            "message": draft.message[:MESSAGE_LENGTH],
            "source": {"component": "llmfleet"},
            "reportingComponent": "llmfleet",
            "reportingInstance": self._identity,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
