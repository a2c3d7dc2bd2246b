"""The process of the server: started, killed, held still, and started again, on the data it left."""

import asyncio
import contextlib
import os
import signal
import sys
from http import HTTPStatus
from pathlib import Path

import aiohttp

from tests.chaos.ledger import now_ms
from tests.chaos.proxy import HOST

_ROOT = Path(__file__).resolve().parents[2]
_START_S, _STOP_S = 20.0, 10.0


class CampaignError(Exception):
    """The campaign cannot go on, or not be judged; one sentence says why."""


class ServerProcess:
    """`python -m tests.chaos.serve` on data of its own.

    Args:
        directory: where its data, its ledger and its last words are.

    Attributes:
        port: where it listens, or last did.
        starts: how often it was started.
    """

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self._directory = directory
        self._words = directory / "stderr.txt"
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0
        self.starts = 0

    async def start(self) -> None:
        """Start it and return when it listens.

        Raises:
            CampaignError: it does not.
        """
        with self._words.open("ab") as words:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.chaos.serve",
                str(self.data),
                str(self._directory),
                cwd=_ROOT,
                env={
                    name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PLAYBYPLAY_"))
                },
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=words,
            )
        self.starts += 1
        assert self._process.stdout is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                line = await self._process.stdout.readline()
        if not line:
            raise CampaignError(f"The server did not come up at start {self.starts}: {self._last_words()}")
        self.port = int(line)

    async def kill(self) -> float:
        """End it with SIGKILL; return when."""
        assert self._process is not None
        at_ms = now_ms()
        self._process.kill()
        await self._forget()
        return at_ms

    def hold(self) -> None:
        """Stop it where it stands."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def let_go(self) -> None:
        """Let it go on, unaware."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def tell(self, order: str) -> None:
        """Have it lose something."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{order}\n".encode())

    async def order(self, fault: str) -> None:
        """Arm its fault switch.

        Raises:
            CampaignError: it does not obey.
        """
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                f"http://{HOST}:{self.port}/faults", json={"fault": fault}, timeout=aiohttp.ClientTimeout(5)
            ) as answer,
        ):
            if answer.status != HTTPStatus.OK:
                raise CampaignError(f"The fault switch answered {fault} with {answer.status}.")

    async def stop(self) -> None:
        """Let it end cleanly.

        Raises:
            CampaignError: it does not, or had ended by itself.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        if self._process.returncode is not None:
            raise CampaignError(f"The server ended by itself ({self._process.returncode}): {self._last_words()}")
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_S):
                code = await self._process.wait()
        except TimeoutError:
            raise CampaignError("The server did not end when its standard input did.") from None
        await self._forget()
        if code:
            raise CampaignError(f"The server ended with code {code}: {self._last_words()}")

    async def end(self) -> None:
        """End it in any case."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()  # also one that is held
            await self._forget()

    async def _forget(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.communicate()
        self._process = None

    def _last_words(self) -> str:
        said = self._words.read_text(errors="replace").strip().splitlines()
        return said[-1] if said else "it said nothing."
