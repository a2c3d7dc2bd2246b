"""One subject in a process of its own: `python -m bench.serve playbyplay|bare`; prints its port, serves until ended.

`bare` is the least a server could do: a `websockets` loop that answers each message with the same
seven frames and stores nothing.
"""

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from pathlib import Path

import websockets

from agent_runner.scripted_model import ScriptedModel
from bench.canonical import REGISTRY, TYPES
from local.collector import tune
from local.home import Parts
from local.server import HOST, Server
from local.settings import LocalSettings
from playbyplay.adapters.system import SystemIds

UNLIMITED = 10**9


async def serve_playbyplay() -> None:
    """Serve the one-machine home with the canonical agent; every limit that a single address would meet is lifted."""
    with tempfile.TemporaryDirectory() as data:
        settings = LocalSettings(
            data=Path(data),
            port=0,
            test_users=True,
            messages_per_minute=UNLIMITED,
            resumes_per_minute=UNLIMITED,
            connects_per_minute=UNLIMITED,
        )
        server = Server(settings, Parts(registry=REGISTRY, model=ScriptedModel()))
        await server.start()
        tune()
        print(server.port, flush=True)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await server.stop()


async def serve_bare() -> None:
    """Serve seven prepared frames for each message."""
    frames = _frames()

    async def answer(socket: websockets.ServerConnection) -> None:
        async for _message in socket:
            for frame in frames:
                await socket.send(frame)

    async with websockets.serve(answer, HOST, 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


def _frames() -> list[str]:
    """Return seven frames of the size ours have."""
    ids = SystemIds()
    run_id, thread_id = ids.uuid(), ids.uuid()
    envelope = {"v": 1, "run_id": run_id, "thread_id": thread_id, "turn": 1, "timestamp": "2026-01-01T00:00:00.000Z"}
    own: dict[str, dict[str, object]] = {
        "agent_started": {"agent_id": "bench_agent", "message": "Agent is starting to process your request."},
        "agent_thinking": {"agent_id": "bench_agent", "thought": "The message is about the canonical turn."},
        "tool_executing": {
            "agent_id": "bench_agent",
            "call_id": "c1",
            "tool_name": "canonical_measurement",
            "description": "Measuring the canonical turn",
        },
        "tool_completed": {
            "agent_id": "bench_agent",
            "call_id": "c1",
            "tool_name": "canonical_measurement",
            "status": "ok",
            "result_summary": "Measured 1 turn",
            "duration_ms": 0,
        },
        "agent_completed": {
            "agent_id": "bench_agent",
            "status": "success",
            "message": "Done after 1 tool call.",
            "duration_ms": 5,
        },
        "final_response": {
            "content": "The canonical turn was measured: 1 tool call, 7 events.",
            "usage": {"input_tokens": 0, "output_tokens": 0},
            "finish_reason": "stop",
        },
    }
    return [
        json.dumps({"type": kind, **envelope, "seq": seq, **own[kind]}, separators=(",", ":"))
        for seq, kind in enumerate(TYPES, start=1)
    ]


async def _serve(subject: str) -> None:
    """Serve until the process is told to end, and leave no file behind."""
    serving = asyncio.create_task(serve_playbyplay() if subject == "playbyplay" else serve_bare())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
