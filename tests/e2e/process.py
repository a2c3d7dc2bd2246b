"""The one-machine server as a process of its own: to be killed, started again, and talked to."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import websockets

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
Frame = dict[str, Any]


class ServerProcess:
    """`python -m local` on a port and data of its own."""

    def __init__(self, data: Path, port: int, **env: str) -> None:
        self.url = f"ws://127.0.0.1:{port}/ws"
        self.said = ""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PLAYBYPLAY_"))}
        own = {"PLAYBYPLAY_PORT": str(port), "PLAYBYPLAY_DATA": str(data), "PLAYBYPLAY_SCRIPTED_PACE_MS": "100"}
        self._env = {**kept, **own, **env}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and return when it listens."""
        self.said = ""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "local",
            cwd=ROOT,
            env=self._env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._process = process
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            while "Ctrl-C ends it" not in self.said:
                line = await process.stdout.readline()
                assert line, f"the server ended: {self.said}"
                self.said += line.decode()

    async def signal(self, number: int) -> int:
        """Send a signal and return the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(START_S):
            out, _ = await self._process.communicate()
        self.said += out.decode()
        code = self._process.returncode
        assert code is not None
        self._process = None
        return code

    async def stop(self) -> None:
        """End it if it runs."""
        if self._process is not None and self._process.returncode is None:
            await self.signal(signal.SIGKILL)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def server_process(data: Path, **env: str) -> AsyncIterator[ServerProcess]:
    """Start a server on a free port; end it in any case."""
    server = ServerProcess(data, free_port(), **env)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


async def read_until(connection: websockets.ClientConnection, *kinds: str, seconds: float = 30.0) -> list[Frame]:
    """Return the frames up to the first of one of these types, it included."""
    frames: list[Frame] = []
    async with asyncio.timeout(seconds):
        while not frames or frames[-1].get("type") not in kinds:
            frames.append(json.loads(await connection.recv()))
    return frames
