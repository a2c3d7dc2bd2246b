"""The clients, in a process of their own: `python -m bench.drive turns|idle URL N SECONDS`; prints JSON.

Each client is one user on one connection and sends its next message when the turn before it is
complete. Every turn is checked: the seven events, once each, in order. The client is `websockets`,
for both subjects: a real client that parses what it gets.
"""

import asyncio
import json
import sys
import time
import uuid
from typing import Any

import aiohttp
import websockets

from bench.canonical import PROMPT, TYPES
from playbyplay.protocol.base import SUBPROTOCOL

WARM_UP = 0.25  # of the time
_OPEN_AT_ONCE = 50


class BrokenTurnError(Exception):
    """A turn that is not what was asked for: the bench has no result."""


async def turns(url: str, clients: int, seconds: float) -> dict[str, Any]:
    """Drive turns for a time and return what was measured, milliseconds."""
    rows: list[tuple[float, float, float, float]] = []
    sockets = await _open(url, clients)
    begin = time.perf_counter()
    counted, end = begin + seconds * WARM_UP, begin + seconds
    await asyncio.gather(*(_client(socket, rows, end) for socket in sockets))
    await asyncio.gather(*(socket.close() for socket in sockets))
    everything = len(rows)
    rows = [row for row in rows if row[0] >= counted]
    if not rows:
        raise BrokenTurnError("no turn was completed in time")
    span = max(began + done / 1000 for began, _accepted, _first, done in rows) - counted
    return {
        "n": len(rows),
        "all": everything,
        "turns_per_s": len(rows) / span,
        "accepted_ms": _spread([accepted for _began, accepted, _first, _done in rows]),
        "first_ms": _spread([first for _began, _accepted, first, _done in rows]),
        "done_ms": _spread([done for _began, _accepted, _first, done in rows]),
    }


async def idle(url: str, clients: int, _seconds: float) -> dict[str, Any]:
    """Hold connections open and silent until standard input ends."""
    sockets = await _open(url, clients)
    print(json.dumps({"open": len(sockets)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.gather(*(socket.close() for socket in sockets))
    return {}


async def _open(url: str, clients: int) -> list[websockets.ClientConnection]:
    gate = asyncio.Semaphore(_OPEN_AT_ONCE)
    async with aiohttp.ClientSession() as session:

        async def one(number: int) -> websockets.ClientConnection:
            async with gate:
                protocols: list[websockets.Subprotocol] | None = None
                if url.endswith("/ws"):
                    ticket_url = url.replace("ws://", "http://").removesuffix("/ws") + "/ticket"
                    async with session.post(ticket_url, json={"user": f"user{number}"}) as answer:
                        ticket = (await answer.json())["ticket"]
                    protocols = [websockets.Subprotocol(SUBPROTOCOL), websockets.Subprotocol(f"ticket.{ticket}")]
                return await websockets.connect(url, subprotocols=protocols, compression=None, ping_interval=None)

        return await asyncio.gather(*(one(number) for number in range(clients)))


async def _client(
    socket: websockets.ClientConnection, rows: list[tuple[float, float, float, float]], end: float
) -> None:
    while (began := time.perf_counter()) < end:
        message = {"type": "agent_message", "content": PROMPT, "client_message_id": str(uuid.uuid4())}
        await socket.send(json.dumps(message))
        accepted = first = 0.0
        for seq, kind in enumerate(TYPES, start=1):
            frame = await _frame(socket)
            if frame["type"] == "message_accepted":
                accepted = (time.perf_counter() - began) * 1000
                frame = await _frame(socket)
            while frame["type"] == "response_delta":
                frame = await _frame(socket)
            if frame["type"] != kind or frame["seq"] != seq:
                raise BrokenTurnError(f"{frame['type']} {frame.get('seq')} in place of {kind} {seq}")
            first = first or (time.perf_counter() - began) * 1000
        rows.append((began, accepted, first, (time.perf_counter() - began) * 1000))


async def _frame(socket: websockets.ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await socket.recv())
    return frame


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(ordered[len(ordered) // 2], 3),
        "p95": round(ordered[int(len(ordered) * 0.95)], 3),
        "max": round(ordered[-1], 3),
    }


if __name__ == "__main__":
    what, where, number, duration = sys.argv[1:]
    print(json.dumps(asyncio.run({"turns": turns, "idle": idle}[what](where, int(number), float(duration)))))
