"""Runs, threads and turns in SQLite, when each is looked at or ended, and the wish to cancel, told to the owner."""

import asyncio
import sqlite3
from collections import defaultdict

from local.database import Database
from local.sqlite_acceptance import COLUMNS, OPEN, accept, find, run_of
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import ONE_MACHINE, Timing
from playbyplay.ports import MAX_TURNS, Acceptance, Accepted, Acquired, Clock, Job, NotAcquired, Settled
from playbyplay.protocol.base import RunStatus

_SELECT = f"SELECT {COLUMNS} FROM runs"
_OWN_KEY = "user = ? AND run_id = ?"
_ACQUIRE = f"""
UPDATE runs SET owner = ?, lease_until_ms = ?, next_check_ms = ?, attempts = attempts + 1, status = 'running'
WHERE {_OWN_KEY} AND {OPEN} AND (owner IS NULL OR lease_until_ms <= ?) RETURNING {COLUMNS}
"""
_SETTLE = f"UPDATE runs SET status = ?, ended_ms = ?, owner = NULL, lease_until_ms = 0 WHERE {_OWN_KEY} AND {OPEN}"
_RENEW = f"""
UPDATE runs SET lease_until_ms = ?, next_check_ms = ?, attempts = CASE WHEN ? THEN 1 ELSE attempts END
WHERE {_OWN_KEY} AND owner = ?
"""
_RELEASE = f"""
UPDATE runs SET owner = NULL, lease_until_ms = 0, attempts = max(0, attempts - 1)
WHERE {_OWN_KEY} AND owner = ?
"""
_GET = f"{_SELECT} WHERE {_OWN_KEY}"
_HEAD = f"{_SELECT} WHERE user = ? AND thread_id = ? AND {OPEN} ORDER BY turn LIMIT 1"
_TURNS = f"{_SELECT} WHERE user = ? AND thread_id = ? AND turn BETWEEN ? AND ? ORDER BY turn"
_OPEN_RUNS = f"{_SELECT} WHERE user = ? AND {OPEN} ORDER BY created_ms, run_id LIMIT ?"
_OVERDUE = f"SELECT user, run_id FROM runs WHERE {OPEN} AND next_check_ms < ? ORDER BY next_check_ms LIMIT ?"
_ENDED = "SELECT user, run_id FROM runs WHERE ended_ms >= ? AND ended_ms < ? ORDER BY ended_ms DESC LIMIT ?"
_POSTPONE = f"UPDATE runs SET next_check_ms = ? WHERE {_OWN_KEY} AND {OPEN}"
_SOON = f"UPDATE runs SET next_check_ms = ? WHERE {_OWN_KEY} AND next_check_ms > ?"
_TAKE_OVER = f"UPDATE runs SET owner = NULL, lease_until_ms = 0, next_check_ms = ? WHERE {OPEN}"
_MARK_CANCEL = f"UPDATE runs SET cancel = 1 WHERE {_OWN_KEY} AND {OPEN}"


class SqliteRunStore:
    """Implements `ports.RunStore`, `ports.CancelWatch`, `ports.OverdueRuns` and `ports.EndedRuns`.

    Args:
        database: where they are kept.
        clock: tells when a turn was settled.
        timing: when a run is to be looked at.
    """

    def __init__(self, database: Database, clock: Clock, timing: Timing = ONE_MACHINE) -> None:
        self._database = database
        self._clock = clock
        self._first_check_ms = round(timing.first_check_s * 1000)
        self._after_lease_ms = round(timing.after_lease_s * 1000)
        self._watches: dict[str, set[asyncio.Future[None]]] = defaultdict(set)
        marked = database.read(f"SELECT run_id FROM runs WHERE cancel = 1 AND {OPEN}")
        self._cancelled = {run_id for (run_id,) in marked}

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Write the run, its turn and record 0, or find the run this message made before."""
        next_check_ms = acceptance.run.created_ms + self._first_check_ms
        return await self._database.write(
            lambda connection: accept(connection, acceptance, next_check_ms=next_check_ms)
        )

    async def find(self, user: str, client_message_id: str) -> Accepted | None:
        """Return what a message made, as a duplicate."""
        return await self._database.apply(lambda connection: find(connection, user, client_message_id))

    async def get(self, user: str, run_id: str) -> Run | None:
        """Return a run."""
        found = await self._select(_GET, (user, run_id))
        return found[0] if found else None

    async def acquire(
        self, user: str, run_id: str, owner: str, *, now_ms: int, lease_until_ms: int
    ) -> Acquired | NotAcquired:
        """Take the lease of an open run that nobody holds; counts an attempt."""

        def acquire(connection: sqlite3.Connection) -> Acquired | NotAcquired:
            taking = (owner, lease_until_ms, lease_until_ms + self._after_lease_ms, user, run_id, now_ms)
            row = connection.execute(_ACQUIRE, taking).fetchone()
            if row is not None:
                run = run_of(row)
                return Acquired(run, may_wait=run.turn > 1)
            row = connection.execute(_GET, (user, run_id)).fetchone()
            if row is None:
                return NotAcquired("unknown")
            return NotAcquired("held" if run_of(row).is_open else "closed")

        return await self._database.apply(acquire)

    async def renew(self, user: str, run_id: str, owner: str, *, lease_until_ms: int, reset_attempts: bool) -> bool:
        """Prolong an own lease."""
        renewal = (lease_until_ms, lease_until_ms + self._after_lease_ms, reset_attempts, user, run_id, owner)
        return await self._database.apply(lambda connection: connection.execute(_RENEW, renewal).rowcount == 1)

    async def release(self, user: str, run_id: str, owner: str) -> None:
        """Give an own lease back, and take back the attempt it counted."""
        await self._database.apply(lambda connection: connection.execute(_RELEASE, (user, run_id, owner)).rowcount)

    async def request_cancel(self, user: str, run_id: str) -> Run | None:
        """Mark an open run, and tell its owner in this process."""

        def mark(connection: sqlite3.Connection) -> Run | None:
            connection.execute(_MARK_CANCEL, (user, run_id))
            row = connection.execute(_GET, (user, run_id)).fetchone()
            return run_of(row) if row is not None else None

        run = await self._database.write(mark)
        if run is not None and run.cancel and run.is_open:
            self._cancelled.add(run_id)
            for watch in self._watches.pop(run_id, ()):
                if not watch.done():
                    watch.set_result(None)
        return run

    def requested(self, user: str, run_id: str) -> asyncio.Future[None]:  # noqa: ARG002 - run ids are unique
        """Return what is done when the run is marked for cancelling."""
        watch: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if run_id in self._cancelled:
            watch.set_result(None)
        else:
            self._watches[run_id].add(watch)
        return watch

    async def settle(self, run: Run, status: RunStatus) -> Settled:
        """Note that a run has ended; return the first open turn of its thread, which is looked at soon, as well."""
        now_ms = self._clock.now_ms()
        soon_ms = now_ms + self._first_check_ms
        self._cancelled.discard(run.run_id)
        self._watches.pop(run.run_id, None)

        def settle(connection: sqlite3.Connection) -> Settled:
            changed = connection.execute(_SETTLE, (status, now_ms, run.user, run.run_id)).rowcount == 1
            row = connection.execute(_HEAD, (run.user, run.thread_id)).fetchone()
            if row is None:
                return Settled(None, changed)
            head = run_of(row)
            connection.execute(_SOON, (soon_ms, head.user, head.run_id, soon_ms))
            return Settled(head, changed)

        return await self._database.write(settle)

    async def head(self, user: str, thread_id: str) -> Run | None:
        """Return the first open turn of a thread."""
        found = await self._select(_HEAD, (user, thread_id))
        return found[0] if found else None

    async def turns(self, user: str, thread_id: str, *, from_turn: int, to_turn: int | None = None) -> list[Run]:
        """Return runs of a thread by turn."""
        last = from_turn + MAX_TURNS - 1
        last = last if to_turn is None else min(last, to_turn)
        return await self._select(_TURNS, (user, thread_id, from_turn, last))

    async def open_runs(self, user: str, *, limit: int) -> list[Run]:
        """Return a user's open runs, oldest first."""
        return await self._select(_OPEN_RUNS, (user, limit))

    async def first(self, *, now_ms: int, limit: int) -> list[Job]:
        """Return runs that were to be looked at before now, as far as the disk knows."""
        return [Job(user, run_id) for user, run_id in self._database.read(_OVERDUE, (now_ms, limit))]

    async def postpone(self, user: str, run_id: str, *, until_ms: int) -> None:
        """Have an open run looked at then."""
        await self._database.apply(lambda connection: connection.execute(_POSTPONE, (until_ms, user, run_id)).rowcount)

    async def between(self, *, from_ms: int, to_ms: int, limit: int) -> list[Job]:
        """Return runs whose end was noted within this time, the newest first, as far as the disk knows."""
        return [Job(user, run_id) for user, run_id in self._database.read(_ENDED, (from_ms, to_ms, limit))]

    async def _select(self, sql: str, parameters: tuple[object, ...]) -> list[Run]:
        """Return runs as they are after every write asked for so far."""
        rows = await self._database.apply(lambda connection: connection.execute(sql, parameters).fetchall())
        return [run_of(row) for row in rows]

    async def recover(self) -> list[Job]:
        """Take over what the process before this one left: its leases end; return the head of each open thread.

        One process owns the data, so whatever it finds leased belongs to nobody.
        """
        soon_ms = self._clock.now_ms() + self._first_check_ms
        await self._database.write(lambda connection: connection.execute(_TAKE_OVER, (soon_ms,)).rowcount)
        rows = self._database.read(f"SELECT user, run_id, min(turn) FROM runs WHERE {OPEN} GROUP BY user, thread_id")
        return [Job(user, run_id) for user, run_id, _turn in rows]
