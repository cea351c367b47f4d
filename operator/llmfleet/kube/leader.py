"""Who may write: one process holds a Lease of the cluster; the others keep their caches warm and wait.

The client library elects. What it leaves open is closed here: a request that hangs may not outlive the Lease, an error
of the network is a failed try and not the end, leadership ends by this process's own clock (also after it was stopped
for a while), and a clean exit gives the Lease back so that the next one takes over within seconds.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from llmfleet.kube import metrics

logger = logging.getLogger(__name__)

LEASE_NAME = "llmfleet-operator"
DURATION, RENEW_DEADLINE, RETRY = 15, 10, 2
"""Seconds: others wait this long for a silent leader; a leader that cannot renew gives up; pause between tries."""
REQUEST_TIMEOUT = 4.0
"""Seconds for one request, so that at least two tries fit into the deadline."""


class _Lock(LeaseLock):
    """The library's Lease lock, told when it was renewed, and never waiting long."""

    renewed_at: float | None = None
    """Monotonic time of the start of the last successful write."""

    async def get(self, name: str, namespace: str) -> Any:
        return await self._bounded(super().get(name, namespace), failed=lambda error: (False, error))

    async def create(self, name: str, namespace: str, election_record: Any) -> bool:
        return await self._written(self._create(name, namespace, election_record))

    async def update(self, name: str, namespace: str, updated_record: Any) -> bool:
        return await self._written(super().update(name, namespace, updated_record))

    async def release(self) -> None:
        """Give the Lease back if it is ours."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                lease = await self.api_instance.read_namespaced_lease(self.name, self.namespace)
                if lease.spec is not None and lease.spec.holder_identity == self.identity:
                    lease.spec.holder_identity = None
                    await self.api_instance.replace_namespaced_lease(self.name, self.namespace, lease)
        except (ApiException, aiohttp.ClientError, TimeoutError, OSError) as error:
            logger.warning("The Lease could not be given back; it ends by itself in %g s: %s", DURATION, error)

    async def _create(self, name: str, namespace: str, record: Any) -> bool:
        """The library's own sends a `pretty` that its client refuses (37.0.2)."""
        lease = client.V1Lease(metadata=client.V1ObjectMeta(name=name), spec=self.update_lease(record))
        try:
            await self.api_instance.create_namespaced_lease(namespace, lease)
        except ApiException as error:
            logger.warning("The Lease %s/%s could not be created: %s", namespace, name, error.reason)
            return False
        return True

    async def _written(self, call: Awaitable[bool]) -> bool:
        began = time.monotonic()
        succeeded: bool = await self._bounded(call, failed=lambda _: False)
        if succeeded:
            self.renewed_at = began
        return succeeded

    async def _bounded(self, call: Awaitable[Any], *, failed: Callable[[ApiException], Any]) -> Any:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                return await call
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return failed(ApiException(status=0, reason=str(error) or type(error).__name__))


class Leader:
    """Takes part in the election."""

    def __init__(self, api: client.ApiClient, *, namespace: str, identity: str) -> None:
        self._lock = _Lock(LEASE_NAME, namespace, identity, api)
        self.elected = asyncio.Event()
        """Set once this process has the Lease."""

    def may_write(self) -> bool:
        """Whether the Lease is surely ours now. Asked before each write."""
        renewed = self._lock.renewed_at
        return self.elected.is_set() and renewed is not None and time.monotonic() - renewed < RENEW_DEADLINE

    async def run(self) -> None:
        """Wait for the Lease, keep it, and return when it is lost."""
        config = Config(
            self._lock,
            lease_duration=DURATION,
            renew_deadline=RENEW_DEADLINE,
            retry_period=RETRY,
            onstarted_leading=self._started,
            onstopped_leading=self._stopped,
        )
        await LeaderElection(config).run()

    async def release(self) -> None:
        """Stop writing and give the Lease back."""
        was_leader = self.elected.is_set()
        self.elected.clear()
        metrics.LEADER.set(0)
        if was_leader:
            await self._lock.release()

    async def _started(self) -> None:
        metrics.LEADER.set(1)
        self.elected.set()
        logger.info("This process holds the Lease and begins to work")

    async def _stopped(self) -> None:
        metrics.LEADER.set(0)
        self.elected.clear()
