"""The demo's client: replays requests against the Services and reports on standard output, one JSON object a line.

It runs in a pod of the cluster, so it imports nothing of this project and needs only aiohttp. Arrivals never wait for
answers (open loop); every request has a connection of its own, so that the Service spreads them over the replicas.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

REPORT_PERIOD_S = 1.0
FIRST_ANSWER_TIMEOUT_S = 600.0


class Answer:
    """One request's fate."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.ttft_s: float | None = None
        self.tokens = 0
        self.error: str | None = None
        self.done = False


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The data of each server-sent event."""
    async for line in response.content:
        text = line.decode().strip()
        if text.startswith("data: "):
            yield text.removeprefix("data: ")


async def ask(session: aiohttp.ClientSession, url: str, request: dict[str, Any], answer: Answer) -> None:
    """Send one streaming request and take note of what comes back; never raises."""
    began = time.monotonic()
    body = {
        "model": answer.model,
        "prompt": [7] * request["input_tokens"],
        "max_tokens": request["output_tokens"],
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    try:
        async with session.post(f"{url}/completions", json=body) as response:
            if response.status != 200:
                answer.error = f"HTTP {response.status}: {(await response.text())[:200]}"
                return
            await read(response, answer, began)
        if answer.tokens != request["output_tokens"]:
            answer.error = f"cut after {answer.tokens} of {request['output_tokens']} tokens"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        answer.error = f"{type(error).__name__}: {error}"
    finally:
        answer.done = True


async def read(response: aiohttp.ClientResponse, answer: Answer, began: float) -> None:
    """Read a stream to its end; the engine's own usage block counts the tokens."""
    async for data in events(response):
        if data == "[DONE]":
            return
        chunk = json.loads(data)
        if answer.ttft_s is None and chunk.get("choices"):
            answer.ttft_s = time.monotonic() - began
        if chunk.get("usage"):
            answer.tokens = chunk["usage"]["completion_tokens"]


def say(**what: Any) -> None:
    """One line for whoever reads this pod's log."""
    print(json.dumps(what), flush=True)


async def first_answers(session: aiohttp.ClientSession, urls: dict[str, str]) -> None:
    """Ask each model until it answers."""
    deadline = time.monotonic() + FIRST_ANSWER_TIMEOUT_S

    async def first(model: str, url: str) -> None:
        while time.monotonic() < deadline:
            answer = Answer(model)
            await ask(session, url, {"input_tokens": 8, "output_tokens": 1}, answer)
            if answer.error is None:
                say(event="first-answer", model=model)
                return
            await asyncio.sleep(0.2)
        say(event="no-answer", model=model, error=answer.error)
        sys.exit(1)

    await asyncio.gather(*(first(model, url) for model, url in urls.items()))


def quantile(values: list[float], q: float) -> float | None:
    """The q-quantile (0 to 1) of the values, by the nearest rank; None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else None


def report(answers: list[Answer], urls: dict[str, str], *, recent: int = 40) -> dict[str, Any]:
    """Counts and times to first token of each model, over the latest requests."""
    result = {}
    for model in urls:
        mine = [answer for answer in answers if answer.model == model]
        times = [a.ttft_s for a in mine if a.ttft_s is not None]
        result[model] = {
            "sent": len(mine),
            "done": sum(a.done and a.error is None for a in mine),
            "errors": sum(a.error is not None for a in mine),
            "in_flight": sum(not a.done for a in mine),
            "ttft_p50": quantile(times[-recent:], 0.5),
            "ttft_p99": quantile(times[-recent:], 0.99),
        }
    return result


def arrivals(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The requests in the order of their arrival; with `until`, every `lap_s` seconds again until it is there."""
    yield from plan["requests"]
    lap = 1
    while "until" in plan and not Path(plan["until"]).exists():
        yield from (r | {"arrival_s": r["arrival_s"] + lap * plan["lap_s"]} for r in plan["requests"])
        lap += 1


async def replay(plan: dict[str, Any]) -> None:
    """The whole of it: first answers, the trace, a report each second, the end."""
    urls = plan["urls"]
    answers: list[Answer] = []
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await first_answers(session, urls)
        began = time.monotonic()
        say(event="begin", at=time.time())

        async def reports() -> None:
            while True:
                say(event="report", t=time.monotonic() - began, models=report(answers, urls))
                await asyncio.sleep(REPORT_PERIOD_S)

        reporter = asyncio.create_task(reports())
        running = []
        for request in arrivals(plan):
            await asyncio.sleep(max(0.0, began + request["arrival_s"] - time.monotonic()))
            answer = Answer(request["model"])
            answers.append(answer)
            running.append(asyncio.create_task(ask(session, urls[answer.model], request, answer)))
        await asyncio.gather(*running)
        reporter.cancel()
    say(event="report", t=time.monotonic() - began, models=report(answers, urls))
    say(
        event="end",
        t=time.monotonic() - began,
        ttft=[a.ttft_s for a in answers if a.ttft_s is not None],
        tokens=sum(a.tokens for a in answers),
        errors=[a.error for a in answers if a.error is not None],
        requests=len(answers),
    )


if __name__ == "__main__":
    asyncio.run(replay(json.loads(Path(sys.argv[1]).read_text())))
