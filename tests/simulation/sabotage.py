"""Worlds in which a promise is broken on purpose: a campaign that does not notice is of no use."""

import asyncio
from typing import Literal, get_args

from playbyplay.domain.journal import Record
from playbyplay.ports import Accepted, Acquired, Job, NotAcquired
from tests.fakes.journal import FakeJournal
from tests.fakes.run_store import FakeRunStore
from tests.simulation.evidence import Evidence, Put, Sent, Taken
from tests.simulation.simulated_queue import SimulatedQueue

Sabotage = Literal[
    "the journal overwrites",
    "an accept forgets the message before",
    "nobody sweeps",
    "no resume arrives",
    "frames reach strangers",
    "a tool forgets its keys",
]
SABOTAGES: tuple[Sabotage, ...] = get_args(Sabotage)


class WrittenJournal(FakeJournal):
    """Writes down what is committed.

    Attributes:
        overwrites: whether it forgets the condition of its put.
        takes_s: how long a put takes before it is done, and a read after it has read.
    """

    evidence: Evidence
    overwrites: bool = False
    takes_s: float = 0.0

    async def append(self, user: str, run_id: str, record: Record) -> None:
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        await super().append(user, run_id, record)

    async def read(self, user: str, run_id: str, *, from_pos: int = 0) -> list[Record]:
        records = await super().read(user, run_id, from_pos=from_pos)
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        return records

    def put(self, user: str, run_id: str, record: Record) -> None:
        if self.overwrites:
            self.slots[user, run_id].pop(record.pos, None)
        super().put(user, run_id, record)
        now_ms = asyncio.get_running_loop().time() * 1000
        self.evidence.puts.append(Put(now_ms, user, run_id, record.pos, record.token))


class WrittenRunStore(FakeRunStore):
    """Writes down who takes a run."""

    evidence: Evidence

    async def acquire(
        self, user: str, run_id: str, owner: str, *, now_ms: int, lease_until_ms: int
    ) -> Acquired | NotAcquired:
        acquired = await super().acquire(user, run_id, owner, now_ms=now_ms, lease_until_ms=lease_until_ms)
        if isinstance(acquired, Acquired):
            self.evidence.taken.append(Taken(asyncio.get_running_loop().time() * 1000, run_id))
        return acquired


class WrittenQueue(SimulatedQueue):
    """Writes down what is sent."""

    evidence: Evidence

    async def send(self, job: Job) -> None:
        self.evidence.jobs.append(Sent(asyncio.get_running_loop().time() * 1000, job.run_id))
        await super().send(job)

    async def stray(self, job: Job) -> None:
        """Take a job nobody of the product sent: an old one, or one that is not its turn."""
        await super().send(job)


class ForgetfulRunStore(WrittenRunStore):
    """Does not know what a message made before."""

    def _find(self, user: str, client_message_id: str) -> Accepted | None:
        return None
