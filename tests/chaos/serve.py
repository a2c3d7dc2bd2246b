"""The server of the campaign: `python -m tests.chaos.serve DATA LEDGER`; it prints its port and serves.

It is the one-machine home as it is, with actors that keep a ledger. A line on standard input makes the
gateway lose its next post, or the queue its next job; the end of standard input ends it cleanly.
"""

import asyncio
import contextlib
import json
import sqlite3
import sys
from pathlib import Path

from local.collector import tune
from local.gateway import SocketGateway
from local.home import Parts
from local.run_queue import LocalRunQueue
from local.server import Server
from local.settings import LocalSettings
from playbyplay.ports import Job
from playbyplay.protocol.events import EVENT_TYPES
from tests.chaos.ledger import Ledger
from tests.chaos.play import PlannedModel, registry

DATABASE = "playbyplay.sqlite3"
LOSE_POST, LOSE_JOB = "lose post", "lose job"
_UNLIMITED = 10**9
_LOSABLE = frozenset({*EVENT_TYPES, "message_accepted", "run_input", "lagging"})
# The store itself tells of each record, in the transaction that writes it, so no crash comes between the two.
_PUTS = """
CREATE TABLE IF NOT EXISTS chaos_puts (at_ms INTEGER, user TEXT, run_id TEXT, pos INTEGER, token TEXT);
CREATE TRIGGER IF NOT EXISTS chaos_put AFTER INSERT ON journal BEGIN
    INSERT INTO chaos_puts
    VALUES (round((julianday('now') - 2440587.5) * 86400000.0), new.user, new.run_id, new.pos, new.token);
END;
"""


class LossyGateway(SocketGateway):
    """A gateway that loses a frame when it is told to, and says that it took it."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger
        self.to_lose = 0

    async def post(self, connection_id: str, text: str) -> None:
        """Write one text frame, or lose it."""
        if self.to_lose and (frame := json.loads(text)).get("type") in _LOSABLE:
            self.to_lose -= 1
            self._ledger.note("lost_post", run_id=frame["run_id"], type=frame["type"], seq=frame.get("seq"))
            return
        await super().post(connection_id, text)


class LossyQueue(LocalRunQueue):
    """A queue that loses a job when it is told to, and says that it took it."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger
        self.to_lose = 0

    async def send(self, job: Job) -> None:
        """Put a job at the end, or lose it."""
        if self.to_lose:
            self.to_lose -= 1
            self._ledger.note("lost_job", run_id=job.run_id)
            return
        await super().send(job)


async def serve(data: Path, directory: Path) -> None:
    """Serve until standard input ends."""
    ledger = Ledger(directory)
    gateway, queue = LossyGateway(ledger), LossyQueue(ledger)
    settings = LocalSettings(
        data=data,
        port=0,
        test_users=True,
        faults=True,
        messages_per_minute=_UNLIMITED,
        resumes_per_minute=_UNLIMITED,
        others_per_minute=_UNLIMITED,
        connects_per_minute=_UNLIMITED,
    )
    parts = Parts(registry=registry(ledger), model=PlannedModel(ledger), gateway=gateway, queue=queue)
    server = Server(settings, parts)
    await server.start()
    try:
        with contextlib.closing(sqlite3.connect(data / DATABASE, timeout=5)) as database:
            database.executescript(_PUTS)
        tune()
        print(server.port, flush=True)
        told = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
        async for line in told:
            order = line.decode().strip()
            gateway.to_lose += order == LOSE_POST
            queue.to_lose += order == LOSE_JOB
    finally:
        await server.stop()
        ledger.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
