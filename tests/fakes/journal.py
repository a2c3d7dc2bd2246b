"""The journal in memory; like a store, it keeps what can be written down."""

from collections import defaultdict

from playbyplay.domain.journal import ENTRIES, Record
from playbyplay.errors import SlotTaken
from tests.fakes.faults import Faults


class FakeJournal:
    """Implements `ports.Journal`.

    Attributes:
        slots: what is committed, by user and run, then by position.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.slots: dict[tuple[str, str], dict[int, Record]] = defaultdict(dict)

    async def append(self, user: str, run_id: str, record: Record) -> None:
        kept = written_down(record)
        async with self.faults.around("journal.append"):
            self.put(user, run_id, kept)

    async def read(self, user: str, run_id: str, *, from_pos: int = 0) -> list[Record]:
        async with self.faults.around("journal.read"):
            return [record for record in self.records(user, run_id) if record.pos >= from_pos]

    async def last_seq(self, user: str, run_id: str) -> int | None:
        async with self.faults.around("journal.last_seq"):
            records = self.records(user, run_id)
            return records[-1].last_seq if records else None

    def put(self, user: str, run_id: str, record: Record) -> None:
        """Write one record on the condition that its slot is empty, with no fault in between."""
        if record.pos in self.slots[user, run_id]:
            raise SlotTaken(f"slot {record.pos} is not empty")
        self.slots[user, run_id][record.pos] = record

    def records(self, user: str, run_id: str) -> list[Record]:
        """Return what is committed, by position."""
        return [record for _pos, record in sorted(self.slots[user, run_id].items())]


def written_down(record: Record) -> Record:
    """Return a record as it comes back from a store."""
    entries = ENTRIES.validate_json(ENTRIES.dump_json(record.entries, exclude_none=True))
    return Record(record.pos, record.epoch, record.token, record.last_seq, entries)
