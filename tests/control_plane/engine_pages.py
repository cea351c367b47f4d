"""Pretends to be engines: one page of metrics for each address of the loopback network, on the engines' port."""

import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from llmfleet.api.v1alpha1 import PORT

PAGE = (Path(__file__).parents[1] / "unit" / "data" / "vllm-0.32.0-metrics-idle.txt").read_text()
RUNNING, CPU = 'vllm:num_requests_running{engine="0",model_name="tiny"}', "process_cpu_seconds_total"


def page(*, running: int) -> str:
    """A real page; the process is alive, and with requests in flight its counters stand still."""
    changed = {RUNNING: str(running), CPU: f"{time.monotonic():.3f}"}
    lines = PAGE.splitlines()
    return (
        "\n".join(
            next((f"{name} {value}" for name, value in changed.items() if line.startswith(f"{name} ")), line)
            for line in lines
        )
        + "\n"
    )


class EnginePages:
    """`with EnginePages({address: page}):` - each address answers GET /metrics, and any POST with nothing."""

    def __init__(self, pages: Mapping[str, Callable[[], str]]) -> None:
        self._servers = [ThreadingHTTPServer((address, PORT), _handler(told)) for address, told in pages.items()]

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _handler(told: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.path == "/metrics"
            self.send_response(200 if is_known else 404)
            self.end_headers()
            self.wfile.write(told().encode() if is_known else b"")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
