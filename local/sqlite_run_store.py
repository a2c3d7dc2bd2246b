"""Runs, threads and turns in SQLite, and the wish to cancel, told to the owner at once."""

import asyncio
import sqlite3
from collections import defaultdict
from dataclasses import fields, replace
from typing import Any

from local.database import Database
from local.sqlite_journal import INSERT, record_row
from playbyplay.domain.journal import History, InputEntry
from playbyplay.domain.thread import Run
from playbyplay.errors import Refused
from playbyplay.ports import MAX_TURNS, Acceptance, Accepted, Acquired, Job, NotAcquired
from playbyplay.protocol.base import RunStatus

_FIELDS = tuple(field.name for field in fields(Run))
_COLUMNS = ", ".join(_FIELDS)
_SELECT = f"SELECT {_COLUMNS} FROM runs"
_INSERT = f"INSERT INTO runs ({_COLUMNS}) VALUES ({', '.join('?' for _ in fields(Run))})"
_OPEN = "status IN ('queued', 'running')"
_OWN_KEY = "user = ? AND run_id = ?"
_ACQUIRE = f"""
UPDATE runs SET owner = ?, lease_until_ms = ?, attempts = attempts + 1, status = 'running'
WHERE {_OWN_KEY} AND {_OPEN} AND (owner IS NULL OR lease_until_ms <= ?) RETURNING {_COLUMNS}
"""
_SETTLE = f"UPDATE runs SET status = ?, owner = NULL, lease_until_ms = 0 WHERE {_OWN_KEY} AND {_OPEN}"
_RELEASE = f"""
UPDATE runs SET owner = NULL, lease_until_ms = 0, attempts = max(0, attempts - 1)
WHERE {_OWN_KEY} AND owner = ?
"""
_GET = f"{_SELECT} WHERE {_OWN_KEY}"
_FIND = f"{_SELECT} WHERE user = ? AND client_message_id = ?"
_HEAD = f"{_SELECT} WHERE user = ? AND thread_id = ? AND {_OPEN} ORDER BY turn LIMIT 1"
_TURNS = f"{_SELECT} WHERE user = ? AND thread_id = ? AND turn BETWEEN ? AND ? ORDER BY turn"
_OPEN_RUNS = f"{_SELECT} WHERE user = ? AND {_OPEN} ORDER BY created_ms, run_id LIMIT ?"
_AHEAD = f"SELECT count(*) FROM runs WHERE user = ? AND thread_id = ? AND turn < ? AND {_OPEN}"
_MARK_CANCEL = f"UPDATE runs SET cancel = 1 WHERE {_OWN_KEY} AND {_OPEN}"


class SqliteRunStore:
    """Implements `ports.RunStore` and `ports.CancelWatch`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watches: dict[str, set[asyncio.Future[None]]] = defaultdict(set)
        marked = database.read(f"SELECT run_id FROM runs WHERE cancel = 1 AND {_OPEN}")
        self._cancelled = {run_id for (run_id,) in marked}

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Write the run, its turn and record 0, or find the run this message made before."""
        return await self._database.write(lambda connection: _accept(connection, acceptance))

    async def find(self, user: str, client_message_id: str) -> Accepted | None:
        """Return what a message made, as a duplicate."""
        return await self._database.apply(lambda connection: _find(connection, user, client_message_id))

    async def get(self, user: str, run_id: str) -> Run | None:
        """Return a run."""
        found = await self._select(_GET, (user, run_id))
        return found[0] if found else None

    async def acquire(
        self, user: str, run_id: str, owner: str, *, now_ms: int, lease_until_ms: int
    ) -> Acquired | NotAcquired:
        """Take the lease of an open run that nobody holds; counts an attempt."""

        def acquire(connection: sqlite3.Connection) -> Acquired | NotAcquired:
            row = connection.execute(_ACQUIRE, (owner, lease_until_ms, user, run_id, now_ms)).fetchone()
            if row is not None:
                run = _run(row)
                return Acquired(run, may_wait=run.turn > 1)
            row = connection.execute(_GET, (user, run_id)).fetchone()
            if row is None:
                return NotAcquired("unknown")
            return NotAcquired("held" if _run(row).is_open else "closed")

        return await self._database.apply(acquire)

    async def renew(self, user: str, run_id: str, owner: str, *, lease_until_ms: int, reset_attempts: bool) -> bool:
        """Prolong an own lease."""

        def renew(connection: sqlite3.Connection) -> bool:
            changed = connection.execute(
                "UPDATE runs SET lease_until_ms = ?, attempts = CASE WHEN ? THEN 1 ELSE attempts END"
                " WHERE user = ? AND run_id = ? AND owner = ?",
                (lease_until_ms, reset_attempts, user, run_id, owner),
            )
            return changed.rowcount == 1

        return await self._database.apply(renew)

    async def release(self, user: str, run_id: str, owner: str) -> None:
        """Give an own lease back, and take back the attempt it counted."""
        await self._database.apply(lambda connection: connection.execute(_RELEASE, (user, run_id, owner)).rowcount)

    async def request_cancel(self, user: str, run_id: str) -> Run | None:
        """Mark an open run, and tell its owner in this process."""

        def mark(connection: sqlite3.Connection) -> Run | None:
            connection.execute(_MARK_CANCEL, (user, run_id))
            row = connection.execute(_GET, (user, run_id)).fetchone()
            return _run(row) if row is not None else None

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

    async def settle(self, run: Run, status: RunStatus) -> Run | None:
        """Note that a run has ended; return the first open turn of its thread."""
        self._cancelled.discard(run.run_id)
        self._watches.pop(run.run_id, None)

        def settle(connection: sqlite3.Connection) -> Run | None:
            connection.execute(_SETTLE, (status, run.user, run.run_id))
            row = connection.execute(_HEAD, (run.user, run.thread_id)).fetchone()
            return _run(row) if row is not None else None

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

    async def _select(self, sql: str, parameters: tuple[object, ...]) -> list[Run]:
        """Return runs as they are after every write asked for so far."""
        rows = await self._database.apply(lambda connection: connection.execute(sql, parameters).fetchall())
        return [_run(row) for row in rows]

    async def recover(self) -> list[Job]:
        """Take over what the process before this one left: its leases end; return the head of each open thread.

        One process owns the data, so whatever it finds leased belongs to nobody.
        """
        await self._database.write(
            lambda connection: (
                connection.execute(f"UPDATE runs SET owner = NULL, lease_until_ms = 0 WHERE {_OPEN}").rowcount
            )
        )
        rows = self._database.read(f"SELECT user, run_id, min(turn) FROM runs WHERE {_OPEN} GROUP BY user, thread_id")
        return [Job(user, run_id) for user, run_id, _turn in rows]


def _find(connection: sqlite3.Connection, user: str, client_message_id: str) -> Accepted | None:
    row = connection.execute(_FIND, (user, client_message_id)).fetchone()
    if row is None:
        return None
    run = _run(row)
    return Accepted(run, duplicate=True, position=_ahead(connection, run))


def _accept(connection: sqlite3.Connection, acceptance: Acceptance) -> Accepted:
    wanted = acceptance.run
    if wanted.client_message_id is not None:
        before = _find(connection, wanted.user, wanted.client_message_id)
        if before is not None:  # by an earlier try of this accept, it may be
            return replace(before, duplicate=before.run.run_id != wanted.run_id)
    run = replace(wanted, turn=_take_turn(connection, acceptance))
    connection.execute(_INSERT, [getattr(run, name) for name in _FIELDS])
    entry = InputEntry(
        thread_id=run.thread_id,
        turn=run.turn,
        content=acceptance.content,
        timestamp=acceptance.timestamp,
        client_message_id=run.client_message_id,
    )
    record = History(run.user, run.run_id).record(acceptance.token, [entry])
    connection.execute(INSERT, record_row(run.user, run.run_id, record))
    position = 0 if acceptance.new_thread else _ahead(connection, run)
    return Accepted(run, duplicate=False, position=position)


def _take_turn(connection: sqlite3.Connection, acceptance: Acceptance) -> int:
    key = (acceptance.run.user, acceptance.run.thread_id)
    if acceptance.new_thread:
        connection.execute("INSERT INTO threads (user, thread_id, next_turn) VALUES (?, ?, 2)", key)
        return 1
    row = connection.execute(
        "UPDATE threads SET next_turn = next_turn + 1 WHERE user = ? AND thread_id = ? RETURNING next_turn - 1", key
    ).fetchone()
    if row is None:
        raise Refused("not_found", "There is no such thread.")
    return int(row[0])


def _ahead(connection: sqlite3.Connection, run: Run) -> int:
    """Count the open turns before a run."""
    return int(connection.execute(_AHEAD, (run.user, run.thread_id, run.turn)).fetchone()[0])


def _run(row: tuple[Any, ...]) -> Run:
    """Read a row; the columns are Run's fields, in order, and `cancel` is the last."""
    return Run(*(*row[:-1], bool(row[-1])))
