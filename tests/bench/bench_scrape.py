"""How many real pages a second the operator scrapes and parses over HTTP on one core.

Budget: at least 500 pages of 50 kB a second. The server is a process of its own and writes a stored answer, so what is
counted is the scraper's CPU time. Run: `python tests/bench/bench_scrape.py` (with operator/ on PYTHONPATH).
"""

import asyncio
import multiprocessing
import socket
import time
from pathlib import Path

from llmfleet.scaling.ports import PodRef
from llmfleet.scaling.scrape import CONCURRENCY, Scraper
from llmfleet.scaling.track import Sample

PAGE = (Path(__file__).parents[1] / "unit" / "data" / "vllm-0.32.0-metrics-idle.txt").read_bytes()
PODS = 200
ROUNDS = 10


def serve(listener: socket.socket) -> None:
    """Answer each request on each connection with the page."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(PAGE)}\r\n\r\n"
    answer = head.encode() + PAGE

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def forever() -> None:
        async with await asyncio.start_server(talk, sock=listener) as server:
            await server.serve_forever()

    asyncio.run(forever())


async def measure(port: int) -> tuple[float, float, int]:
    """CPU seconds, wall seconds and pages of ROUNDS looks at PODS pods."""
    pods = [PodRef(name=f"p{i}", uid=f"{i}", ip="127.0.0.1", port=port, ready=True) for i in range(PODS)]
    async with Scraper(timeout_seconds=30, monotonic=time.monotonic) as scraper:
        await asyncio.gather(*(scraper.scrape(pod, suspect=False) for pod in pods))
        cpu, wall, pages = time.process_time(), time.monotonic(), 0
        for _ in range(ROUNDS):
            found = await asyncio.gather(*(scraper.scrape(pod, suspect=False) for pod in pods))
            pages += sum(isinstance(one, Sample) for one in found)
        return time.process_time() - cpu, time.monotonic() - wall, pages


def main() -> None:
    """Print the figures."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
    server.start()
    cpu, wall, pages = asyncio.run(measure(listener.getsockname()[1]))
    server.terminate()
    print(f"{pages} pages of {len(PAGE) / 1000:.1f} kB, {PODS} pods, at most {CONCURRENCY} at once")
    print(f"{pages / cpu:.0f} pages per CPU second, {pages / wall:.0f} pages/s on the wall")


if __name__ == "__main__":
    main()
