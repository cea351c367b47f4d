"""An activator's own pages: /livez, /readyz, /metrics, and /state, which the operator reads twice a second."""

import json
import time
from collections.abc import Callable, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from llmfleet.activator.listeners import Listeners
from llmfleet.activator.proxy import Proxy
from llmfleet.api.activation import STATE_PATH
from llmfleet.kube.informer import SERVER_TIMEOUT, SILENCE, Informer
from llmfleet.process.settings import SettingsError

WATCH_LIMIT = SERVER_TIMEOUT + 2 * SILENCE
"""Seconds after which a silent watch is dead."""


def state(listeners: Listeners, proxy: Proxy, *, now: float) -> dict[str, object]:
    """What the operator is told: for whom there is a listener, and for whom requests wait."""
    wanted = proxy.demand.wanted(now)
    listening = listeners.listening
    asked = sorted(
        uid
        for port, uid in listening.items()
        if uid in wanted and (target := proxy.directory.target(port)) and not proxy.directory.addresses(target)
    )
    return {"listening": listening, "waiting": asked}


def application(
    *,
    listeners: Listeners,
    proxy: Proxy,
    informers: Sequence[Informer],
    registry: CollectorRegistry,
    is_ending: Callable[[], bool],
) -> web.Application:
    """The routes."""

    async def livez(_: web.Request) -> web.Response:
        silent = [one.resource.plural for one in informers if one.silence() > WATCH_LIMIT]
        words = f"silent watches: {', '.join(silent)}" if silent else "ok"
        return web.Response(text=words, status=503 if silent else 200)

    async def readyz(_: web.Request) -> web.Response:
        ready = all(one.listed.is_set() for one in informers) and not is_ending()
        return web.Response(text="ok" if ready else "not all is listed, or it ends", status=200 if ready else 503)

    async def show_metrics(_: web.Request) -> web.Response:
        proxy.metrics.held_bytes.set(proxy.bounds.held_bytes)
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def show_state(_: web.Request) -> web.Response:
        return web.Response(text=json.dumps(state(listeners, proxy, now=time.monotonic())))

    app = web.Application()
    app.add_routes(
        [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/metrics", show_metrics),
            web.get(STATE_PATH, show_state),
        ]
    )
    return app


async def serve(app: web.Application, *, port: int) -> web.AppRunner:
    """Start to answer; the caller cleans up.

    Raises:
        SettingsError: the port is taken.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(f"port {port} cannot be used: {error.strerror}; choose another one with --port") from error
    return runner
