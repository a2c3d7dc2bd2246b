"""The journal in SQLite: one row per record, its primary key is the lock."""

import sqlite3

from local.database import Database
from playbyplay.domain.journal import ENTRIES, Record
from playbyplay.errors import SlotTaken

INSERT = "INSERT INTO journal (user, run_id, pos, epoch, token, last_seq, entries) VALUES (?, ?, ?, ?, ?, ?, ?)"


class SqliteJournal:
    """Implements `ports.Journal`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, user: str, run_id: str, record: Record) -> None:
        """Insert a record; a taken slot breaks the primary key."""
        row = record_row(user, run_id, record)

        try:
            await self._database.execute(INSERT, row)
        except sqlite3.IntegrityError:
            raise SlotTaken(f"slot {record.pos} is not empty") from None

    async def read(self, user: str, run_id: str, *, from_pos: int = 0) -> list[Record]:
        """Return the records from a position on."""
        rows = self._database.read(
            "SELECT pos, epoch, token, last_seq, entries FROM journal"
            " WHERE user = ? AND run_id = ? AND pos >= ? ORDER BY pos",
            (user, run_id, from_pos),
        )
        return [Record(pos, epoch, token, seq, ENTRIES.validate_json(text)) for pos, epoch, token, seq, text in rows]

    async def last_seq(self, user: str, run_id: str) -> int | None:
        """Return the seq of the last event."""
        rows = self._database.read(
            "SELECT last_seq FROM journal WHERE user = ? AND run_id = ? ORDER BY pos DESC LIMIT 1", (user, run_id)
        )
        return rows[0][0] if rows else None


def record_row(user: str, run_id: str, record: Record) -> tuple[str, str, int, int, str, int, str]:
    """Return a record as the columns of its row; the entries as JSON, absent fields omitted."""
    return user, run_id, record.pos, record.epoch, record.token, record.last_seq, record.entries_json()
