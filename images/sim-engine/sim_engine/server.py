"""The HTTP server: vLLM's routes, its errors, its API key, its access log, and the control door of this stand-in.

`main.py` starts it once the engine is up; `engine.py` does the work, `protocol.py` the words.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

from aiohttp import web

from sim_engine import answers, protocol
from sim_engine.engine import Engine, EngineDeadError, QueueFullError, Ticket
from sim_engine.exposition import CONTENT_TYPE, Page
from sim_engine.faults import Fault, Faults, parse_fault
from sim_engine.logs import access_line
from sim_engine.protocol import Kind, Parsed, RequestError
from sim_engine.settings import EngineConfig, SimSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

GUARDED = ("/v1", "/v2", "/inference", "/cohere")
UNMEASURED = frozenset(
    {"/metrics", "/health", "/load", "/ping", "/version", "/server_info", "/sim/fault", "/sim/state"}
)
LARGEST_BODY = 64 << 20
DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."


@dataclass(slots=True)
class State:
    """What the routes share.

    `draining` is set by SIGTERM, `quiet` when no request is in flight; `apply` carries out a fault.
    """

    config: EngineConfig
    sim: SimSettings
    engine: Engine
    page: Page
    faults: Faults
    apply: Callable[[Fault], None]
    draining: bool = False
    in_flight: int = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.quiet.set()


def application(state: State) -> web.Application:
    """The routes."""
    routes = Routes(state)
    app = web.Application(
        middlewares=[routes.measure, routes.errors, routes.authenticate], client_max_size=LARGEST_BODY
    )
    app.add_routes(
        [
            web.get("/health", routes.health, allow_head=False),
            web.get("/ping", routes.health, allow_head=False),
            web.post("/ping", routes.health),
            web.get("/version", routes.version, allow_head=False),
            web.get("/metrics", routes.metrics, allow_head=False),
            web.get("/v1/models", routes.models, allow_head=False),
            web.post("/v1/completions", routes.completions),
            web.post("/v1/chat/completions", routes.chat),
        ]
    )
    app.on_response_prepare.append(_headers)
    if state.sim.control:
        app.add_routes([web.post("/sim/fault", routes.fault), web.get("/sim/state", routes.state)])
    return app


class Routes:
    """One method a route, and the middlewares around them."""

    def __init__(self, state: State) -> None:
        self._state = state
        config, sim = state.config, state.sim
        self._server = protocol.Server(config.served_names, config.max_model_len, sim.output_tokens, sim.version)

    @web.middleware
    async def measure(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Access log and http_ metrics."""
        start = time.perf_counter()
        self._state.in_flight += 1
        self._state.quiet.clear()
        try:
            response = await handler(request)
        finally:
            self._state.in_flight -= 1
            if not self._state.in_flight:
                self._state.quiet.set()
        route = request.match_info.route.resource
        path = route.canonical if route else "none"
        if path not in UNMEASURED:
            self._state.page.http.record(
                method=request.method,
                handler=path,
                status=response.status,
                seconds=time.perf_counter() - start,
                request_bytes=request.content_length or 0,
                response_bytes=response.content_length or 0,
            )
        if self._state.config.access_log and request.path not in self._state.config.quiet_paths:
            access_line(request, response.status)
        return response

    @web.middleware
    async def errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every error in vLLM's shape."""
        try:
            return await handler(request)
        except RequestError as error:
            return _json(error.body(), error.status)
        except QueueFullError as error:
            return _json(RequestError(503, f"The server's queue is full: {error}").body(), 503)
        except EngineDeadError:
            return _json(RequestError(500, DEAD).body(), 500)
        except web.HTTPException as error:
            return _json({"detail": error.reason}, error.status)

    @web.middleware
    async def authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The API key, asked for under GUARDED only."""
        keys = self._state.config.api_keys
        if keys and request.path.startswith(GUARDED) and request.method != "OPTIONS":
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or key not in keys:
                return _json({"error": "Unauthorized"}, 401)
        return await handler(request)

    async def health(self, _request: web.Request) -> web.Response:
        """200 as long as the engine process lives, stuck or not."""
        return web.Response(status=503 if self._state.engine.dead else 200)

    async def version(self, _request: web.Request) -> web.Response:
        """The version played."""
        return _json({"version": self._state.sim.version})

    async def metrics(self, _request: web.Request) -> web.Response:
        """The metrics page; it never asks the engine."""
        if self._state.faults.metrics == "off":
            raise web.HTTPNotFound
        return web.Response(body=self._state.page.render(), headers={"Content-Type": CONTENT_TYPE})

    async def models(self, _request: web.Request) -> web.Response:
        """The served names."""
        config = self._state.config
        cards = [answers.model_card(name, config.model, config.max_model_len) for name in config.served_names]
        return _json({"object": "list", "data": cards})

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """Text completion."""
        return await self._generate(request, "completion")

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Chat completion."""
        return await self._generate(request, "chat")

    async def _generate(self, request: web.Request, kind: Kind) -> web.StreamResponse:
        if self._state.draining:
            raise RequestError(500, "cannot schedule new futures after shutdown")
        if request.content_type != "application/json":
            raise protocol.invalid("Unsupported Media Type: Only 'application/json' is allowed", None)
        parsed = protocol.read(await request.read(), kind, self._server)
        ticket = self._state.engine.submit(
            prompt_tokens=parsed.prompt_tokens,
            output_tokens=parsed.output_tokens,
            max_tokens=parsed.max_tokens,
            streaming=parsed.stream,
        )
        try:
            if parsed.stream:
                return await self._stream(request, parsed, ticket)
            generated = await self._state.engine.progress(ticket)
            return _json(answers.answer(parsed, generated, ticket.finish_reason))
        finally:
            self._state.engine.abort(ticket)

    async def _stream(self, request: web.Request, parsed: Parsed, ticket: Ticket) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        if first := answers.opening(parsed):
            await _send(response, first)
        try:
            await self._send_tokens(response, parsed, ticket)
        except EngineDeadError:
            await _send(response, RequestError(500, DEAD).body())
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _send_tokens(self, response: web.StreamResponse, parsed: Parsed, ticket: Ticket) -> None:
        sent = 0
        while sent < parsed.output_tokens:
            visible = await self._state.engine.progress(ticket)
            reason = ticket.finish_reason if visible == parsed.output_tokens else None
            await _send(response, answers.chunk(parsed, sent, visible, reason))
            sent = visible
        if parsed.include_usage:
            await _send(response, answers.closing_usage(parsed, sent))

    async def fault(self, request: web.Request) -> web.Response:
        """Make something fail now: {"fault": "hang"}."""
        try:
            fault = parse_fault(str((await request.json())["fault"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(400, f"a fault is {{'fault': NAME or NAME=VALUE}}: {error}") from None
        self._state.apply(fault)
        return _json({"applied": fault.name, "value": fault.value})

    async def state(self, _request: web.Request) -> web.Response:
        """What the engine is doing at this moment, whatever the metrics page says."""
        engine, faults = self._state.engine, self._state.faults
        return web.json_response(
            {
                "running": engine.replica.running,
                "waiting": engine.replica.waiting,
                "kvUsage": engine.replica.kv_usage,
                "lagSeconds": engine.lag,
                "draining": self._state.draining,
                "hang": faults.hang,
                "metrics": faults.metrics,
            }
        )


async def _headers(_request: web.Request, response: web.StreamResponse) -> None:
    """The headers that uvicorn and vLLM's CORS middleware, which a refused key does not reach, add."""
    response.headers["Server"] = "uvicorn"
    if response.status != HTTPStatus.UNAUTHORIZED:
        response.headers["Vary"] = "Origin"


def _json(body: Mapping[str, object], status: int = 200) -> web.Response:
    return web.Response(body=_dumps(body).encode(), status=status, content_type="application/json")


async def _send(response: web.StreamResponse, body: Mapping[str, object]) -> None:
    await response.write(b"data: " + _dumps(body).encode() + b"\n\n")


_dumps = partial(json.dumps, separators=(",", ":"))
