"""Everything that kopf calls: a table of contents of what is watched. No handler decides anything.

kopf is the watcher of the LLMDeployments and the process frame. Its `index` handler fills the cache and names to the
queue what changed; its `event` handler, which kopf does not call before the index is full, opens the queue, and forgets
what was deleted. There are no other kinds of handlers, so kopf writes nothing: no finalizer, no annotation, no Event.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aiohttp
import kopf

from llmfleet.api.v1alpha1 import GROUP, PLURAL, VERSION
from llmfleet.controller.cache import Cache
from llmfleet.controller.queue import WorkQueue
from llmfleet.controller.stateless import NoDiffBase, NoProgress
from llmfleet.controller.watches import Watches
from llmfleet.kube.resources import Body, Key

WATCH_SERVER_TIMEOUT = 240
"""Seconds after which the API server ends a watch and kopf opens it anew."""
WATCH_SILENCE = 70.0
"""Seconds without an event or bookmark after which kopf opens a watch anew."""
OUTAGE_BACKOFFS = (1, 1, 2, 3, 5, 8, 13, 21, *([30] * 20))
"""Pauses between tries of a request, in seconds: eleven minutes, enough for an upgrade of the control plane."""
END_PATIENCE = 9.0
"""Seconds that kopf gets to end."""


def settings() -> kopf.OperatorSettings:
    """Options of kopf: patient with the API server, silent towards it, quick to end."""
    options = kopf.OperatorSettings()
    options.posting.enabled = False
    options.peering.standalone = True
    options.scanning.disabled = True  # the CRD comes with the chart; watching CRDs and namespaces needs rights
    options.networking.request_timeout = 30
    options.networking.connect_timeout = 5
    options.networking.error_backoffs = OUTAGE_BACKOFFS
    options.watching.server_timeout = WATCH_SERVER_TIMEOUT
    options.watching.connect_timeout = 5
    options.watching.inactivity_timeout = WATCH_SILENCE
    options.persistence.diffbase_storage = NoDiffBase()
    options.persistence.progress_storage = NoProgress()
    options.process.ultimate_exiting_timeout = 10
    return options


def registry(cache: Cache, queue: WorkQueue, watches: Watches) -> kopf.OperatorRegistry:
    """All handlers."""
    handlers = kopf.OperatorRegistry()
    _on_login(handlers, watches)
    _on_object(handlers, cache, queue)
    return handlers


def _on_object(handlers: kopf.OperatorRegistry, cache: Cache, queue: WorkQueue) -> None:
    """LLMDeployments: a new generation is tried at once, whatever failed before."""
    generations: dict[Key, int] = {}

    @kopf.index(GROUP, VERSION, PLURAL, id=PLURAL, registry=handlers)
    async def note(body: Body, **_: Any) -> None:
        key, generation = cache.objects.key_of(body), body["metadata"].get("generation", 0)
        is_changed = cache.objects.put(body)
        if generations.get(key) != generation:
            generations[key] = generation
            queue.renew(key)
        elif is_changed:
            queue.add(key)

    @kopf.on.event(GROUP, VERSION, PLURAL, id=PLURAL, registry=handlers, when=_once_or_deleted(queue))
    async def deleted(body: Body, **event: Any) -> None:
        queue.opened.set()
        if event["type"] == "DELETED":
            cache.objects.remove(body)
            key = cache.objects.key_of(body)
            generations.pop(key, None)
            queue.add(key)


def _once_or_deleted(queue: WorkQueue) -> Callable[..., bool]:
    """Which events are worth a call: the first, since kopf sends none before all indices are full; then deletions."""

    def is_worth_it(**event: Any) -> bool:
        return event["type"] == "DELETED" or not queue.opened.is_set()

    return is_worth_it


def _on_login(handlers: kopf.OperatorRegistry, watches: Watches) -> None:
    """The pod's own service account, or $KUBECONFIG; through a session that tells us of its watches."""

    @kopf.on.login(registry=handlers)
    async def login(**kwargs: Any) -> kopf.AiohttpSession:
        address = os.environ.get("KUBERNETES_SERVICE_HOST")
        way: Callable[..., Any] = kopf.login_with_service_account if address else kopf.login_with_kubeconfig
        info = way(**kwargs)
        if info is None:
            raise kopf.LoginError("there is no service account and no kubeconfig: set KUBECONFIG")
        if address:  # by address, so that the operator needs no DNS
            host = f"[{address}]" if ":" in address else address
            info = replace(info, server=f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}")
        return _session(info, watches)


def _session(info: kopf.ConnectionInfo, watches: Watches) -> kopf.AiohttpSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers={"User-Agent": "llmfleet-watch"} | info.as_http_headers(),
        trace_configs=[watches.trace()],
    )
    return kopf.AiohttpSession(server=info.server, default_namespace=info.default_namespace, aiohttp_session=session)
