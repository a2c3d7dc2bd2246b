"""The newest runs of everybody, for the ops page: ids, times and counts, and no word of what was said.

What it reads is bounded, however many runs there are: open ones and those that ended last, each from an index of its
own. A run that ended does not change, so it is read once while it is among the newest.
"""

import asyncio
import json
from typing import Any, Final

from local.database import Database
from local.sqlite_acceptance import OPEN
from playbyplay.domain.timing import milliseconds
from playbyplay.ports import Clock

NEWEST: Final = 50
_OPEN_READ: Final = 1000  # milliseconds; of more, the newest of these
_AT_A_TIME: Final = 10  # then others get their turn on the loop
_COLUMNS = "user, run_id, turn, status, created_ms, ended_ms, attempts, owner, lease_until_ms"
_OPEN = f"""
SELECT {_COLUMNS} FROM runs WHERE (user, run_id) IN (
    SELECT user, run_id FROM (
        SELECT user, run_id, created_ms FROM runs WHERE {OPEN} LIMIT {_OPEN_READ}
    ) ORDER BY created_ms DESC LIMIT {NEWEST}
)
"""
_ENDED = f"SELECT {_COLUMNS} FROM runs WHERE ended_ms IS NOT NULL ORDER BY ended_ms DESC LIMIT {NEWEST}"
_KEY = "user = ? AND run_id = ?"
# The first of the records that no event follows holds the last event; record 0 holds none, and what a user said.
_LAST_EVENT = f"""
SELECT last_seq, CASE WHEN last_seq > 0 THEN entries ELSE '[]' END FROM journal WHERE {_KEY} AND pos = (
    SELECT min(pos) FROM journal WHERE {_KEY} AND last_seq = (
        SELECT last_seq FROM journal WHERE {_KEY} ORDER BY pos DESC LIMIT 1
    )
)
"""
_COUNTED: Final = 10_000  # at the most
_HOW_MANY = (
    f"SELECT count(*) FROM (SELECT 1 FROM runs WHERE {OPEN} LIMIT {_COUNTED})",
    f"SELECT count(*) FROM (SELECT 1 FROM connections LIMIT {_COUNTED})",
)
Row = dict[str, Any]


class RecentRuns:
    """Reads them.

    Args:
        database: where runs and journals are.
        clock: tells how long they are silent.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._ended: dict[str, Row] = {}

    async def __call__(self) -> list[Row]:
        """Return the newest runs, the newest first; a moment old.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        found = {row[1]: row for sql in (_OPEN, _ENDED) for row in self._database.read(sql)}
        newest = sorted(found.values(), key=lambda row: (row[4], row[1]), reverse=True)[:NEWEST]
        rows: list[Row] = []
        for place, found_row in enumerate(newest):
            if place % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            rows.append(self._ended.get(found_row[1]) or self._row(found_row))
        self._ended = {row["run_id"]: row for row in rows if row["ended_ms"] is not None}
        return rows

    def how_many(self) -> tuple[int, int]:
        """Return how many runs are open, and how many connections; of very many, so many as are counted.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        open_runs, connections = (self._database.read(sql)[0][0] for sql in _HOW_MANY)
        return open_runs, connections

    def _row(self, found: tuple[Any, ...]) -> Row:
        user, run_id, turn, status, created_ms, ended_ms, attempts, owner, lease_until_ms = found
        events, last_event, last_event_ms = self._last_event(user, run_id)
        now_ms = self._clock.now_ms()
        return {
            "run_id": run_id,
            "turn": turn,
            "status": status,
            "accepted_ms": created_ms,
            "ended_ms": ended_ms,
            "events": events,
            "last_event": last_event,
            "last_event_ms": last_event_ms,
            "silence_ms": max(0, now_ms - (last_event_ms or created_ms)) if ended_ms is None else None,
            "attempts": attempts,
            "owned": owner is not None and lease_until_ms > now_ms,
        }

    def _last_event(self, user: str, run_id: str) -> tuple[int, str | None, int | None]:
        """Return how many events a run has, and the type and the time of the last, where its journal is no rubble."""
        rows = self._database.read(_LAST_EVENT, (user, run_id) * 3)
        if not rows:
            return 0, None, None
        last_seq, entries = rows[0]
        try:
            events = [entry["event"] for entry in json.loads(entries) if entry["kind"] == "event"]
            if events:
                return last_seq, str(events[-1]["type"]), milliseconds(events[-1]["timestamp"])
        except (ValueError, TypeError, LookupError):
            pass  # the auditor tells of it; the other runs are to be seen on such a day too
        return last_seq, None, None
