"""Runs in a pod: sends the requests that its argument describes, each on a connection of its own; prints what came."""

import asyncio
import json
import sys
import time
from typing import Any

PORT = 8000
PATIENCE = 180.0
PAUSE = 1.0


async def once(plan: dict[str, Any]) -> list[Any]:
    """One request: status, Retry-After, when it began and ended, the end of the answer."""
    body, began = json.dumps(plan["body"]).encode(), time.time()
    key = f"Authorization: Bearer {plan['key']}\r\n" if plan["key"] else ""
    head = f"POST {plan['path']} HTTP/1.1\r\nHost: {plan['host']}\r\nContent-Type: application/json\r\n{key}"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(plan["host"], PORT)
            writer.write(head.encode() + body)
            answer = (await reader.read()).decode(errors="replace")
            writer.close()
    except (OSError, TimeoutError) as error:
        return [0, "", began, time.time(), repr(error)]
    lines = answer.partition("\r\n\r\n")[0].split("\r\n")
    later = next((line.split(": ")[1] for line in lines if line.lower().startswith("retry-after: ")), "")
    status = int(lines[0].split()[1]) if lines[0] else 0
    return [status, later, began, time.time(), answer[-300:]]


async def one(number: int, plan: dict[str, Any]) -> list[Any]:
    """One request at its time, again while nobody answers."""
    await asyncio.sleep(number * plan["every"])
    for _ in range(plan["tries"] - 1):
        found = await once(plan)
        if found[0]:
            return found
        await asyncio.sleep(PAUSE)
    return await once(plan)


async def main() -> None:
    """All of them."""
    plan = json.loads(sys.argv[1])
    found = await asyncio.gather(*(one(number, plan) for number in range(plan["count"])))
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
