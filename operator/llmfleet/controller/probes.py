"""The operator's own HTTP endpoint: /livez, /readyz and /metrics on one port, nothing else.

/livez asks whether a restart would help: the event loop stands still, a watch is dead, a pass never ends. It never
fails because the API server is away or because another process leads.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from llmfleet.controller import metrics
from llmfleet.controller.handlers import WATCH_SERVER_TIMEOUT, WATCH_SILENCE
from llmfleet.controller.queue import WorkQueue
from llmfleet.controller.watches import Watches
from llmfleet.kube.informer import Informer
from llmfleet.process.http_logs import is_worth_telling
from llmfleet.process.settings import SettingsError

TICK = 1.0
LAG_LIMIT = 10.0
"""Seconds that the event loop may be late."""
WATCH_LIMIT = WATCH_SERVER_TIMEOUT + 2 * WATCH_SILENCE
"""Seconds after which a silent watch is dead: it should have been opened anew long since."""
PASS_LIMIT = 300.0
"""Seconds after which a pass hangs: its requests give up after 30 s each."""
BEAT_LIMIT = 60.0
"""Seconds after which a working queue should have looked for work again."""


@dataclass
class Health:
    """Measures the process from inside."""

    watches: Watches
    informers: Sequence[Informer]
    queue: WorkQueue
    lag: float = 0.0
    """Lateness of the event loop at the last tick, in seconds."""

    async def run(self) -> None:
        """Look every second, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(TICK)
            self.lag = loop.time() - before - TICK
            self.watches.look()
            for informer in self.informers:
                metrics.WATCH_AGE.labels(informer.resource.plural).set(informer.silence())
            metrics.QUEUE_DEPTH.set(self.queue.schedule.depth(loop.time()))

    def faults(self) -> list[str]:
        """What a restart would cure."""
        now = asyncio.get_running_loop().time()
        silence = max([self.watches.oldest(), *(informer.silence() for informer in self.informers)])
        checks = (
            (self.lag > LAG_LIMIT, f"the event loop was {self.lag:.0f} s late"),
            (silence > WATCH_LIMIT, f"a watch is silent for {silence:.0f} s"),
            (self.queue.oldest_pass() > PASS_LIMIT, f"a pass runs for {self.queue.oldest_pass():.0f} s"),
            (0 < self.queue.beat < now - BEAT_LIMIT, "the work queue stands still"),
        )
        return [fault for is_bad, fault in checks if is_bad]

    def is_ready(self) -> bool:
        """Whether everything there is has been listed. A process that waits for the Lease is ready too."""
        return self.watches.are_open and all(informer.listed.is_set() for informer in self.informers)


def application(health: Health) -> web.Application:
    """The routes."""

    async def livez(_: web.Request) -> web.Response:
        faults = health.faults()
        return web.Response(text="; ".join(faults) or "ok", status=503 if faults else 200)

    async def readyz(_: web.Request) -> web.Response:
        ready = health.is_ready()
        return web.Response(text="ok" if ready else "not everything is listed yet", status=200 if ready else 503)

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", show_metrics)])
    return app


async def serve(health: Health, *, port: int) -> web.AppRunner:
    """Start to answer; the caller cleans up.

    Raises:
        SettingsError: the port is taken.
    """
    server_log = logging.getLogger("aiohttp.server")
    server_log.addFilter(is_worth_telling)
    runner = web.AppRunner(application(health), access_log=None, logger=server_log)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(f"port {port} cannot be used: {error.strerror}; choose another one with --port") from error
    return runner
