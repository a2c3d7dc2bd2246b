"""Worlds in which a promise is broken on purpose: a campaign that does not notice is of no use."""

import asyncio
from typing import Literal, get_args

from playbyplay.domain.journal import Record
from playbyplay.ports import Accepted
from tests.fakes.journal import FakeJournal
from tests.fakes.run_store import FakeRunStore
from tests.simulation.evidence import Evidence, Put

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
    """

    evidence: Evidence
    overwrites: bool = False

    def put(self, user: str, run_id: str, record: Record) -> None:
        if self.overwrites:
            self.slots[user, run_id].pop(record.pos, None)
        super().put(user, run_id, record)
        now_ms = asyncio.get_running_loop().time() * 1000
        self.evidence.puts.append(Put(now_ms, user, run_id, record.pos, record.token))


class ForgetfulRunStore(FakeRunStore):
    """Does not know what a message made before."""

    def _find(self, user: str, client_message_id: str) -> Accepted | None:
        return None
