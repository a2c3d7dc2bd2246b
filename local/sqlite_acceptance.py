"""What an accept writes, in one transaction: a run, its turn and its input; or it finds the run there is, or refuses.

Messages are numbered by user, so that a user's limit by time is one look at the message that many before.
"""

import sqlite3
from dataclasses import fields, replace
from typing import Any

from local.sqlite_journal import INSERT, record_row
from playbyplay.domain.journal import History, InputEntry
from playbyplay.domain.thread import Run
from playbyplay.errors import Refused
from playbyplay.ports import Acceptance, Accepted

MINUTE_MS = 60_000
OPEN = "status IN ('queued', 'running')"
_FIELDS = tuple(field.name for field in fields(Run))
COLUMNS = ", ".join(_FIELDS)
_MARKS = ", ".join("?" for _ in _FIELDS)
_INSERT = f"INSERT INTO runs ({COLUMNS}, next_check_ms, number) VALUES ({_MARKS}, ?, ?)"
_FIND = f"SELECT {COLUMNS} FROM runs WHERE user = ? AND client_message_id = ?"
_GET = f"SELECT {COLUMNS} FROM runs WHERE user = ? AND run_id = ?"
_AHEAD = f"SELECT count(*) FROM runs WHERE user = ? AND thread_id = ? AND turn < ? AND {OPEN}"
# Named, for SQLite would rather go through every run of the user.
_SO_MANY_OPEN = f"SELECT 1 FROM runs INDEXED BY open_runs WHERE user = ? AND {OPEN} LIMIT 1 OFFSET ?"
_LAST_NUMBER = "SELECT max(number) FROM runs INDEXED BY runs_by_number WHERE user = ? AND number IS NOT NULL"
_BY_NUMBER = "SELECT created_ms FROM runs WHERE user = ? AND number = ?"


def run_of(row: tuple[Any, ...]) -> Run:
    """Read a row of `COLUMNS`: Run's fields, in order, of which `cancel` is the last."""
    return Run(*(*row[:-1], bool(row[-1])))


def find(connection: sqlite3.Connection, user: str, client_message_id: str) -> Accepted | None:
    """Return what a message made, as a duplicate."""
    return _found(connection, connection.execute(_FIND, (user, client_message_id)).fetchone())


def accept(connection: sqlite3.Connection, acceptance: Acceptance, *, next_check_ms: int) -> Accepted:
    """Make a run, or find the one this message made before.

    Args:
        connection: in a transaction that is undone where this raises.
        acceptance: what to write.
        next_check_ms: when the watchdog looks at the run.

    Raises:
        Refused: `not_found`, `thread_busy` or `rate_limited`.
    """
    wanted = acceptance.run
    before = _made(connection, wanted)
    if before is not None:  # by an earlier try of this accept, it may be
        return replace(before, duplicate=before.run.run_id != wanted.run_id)
    run = replace(wanted, turn=_take_turn(connection, acceptance))
    position = 0 if acceptance.new_thread else _ahead(connection, run)
    if acceptance.only_if_idle and position:
        raise Refused("thread_busy", "An earlier message of this thread is being answered.", retry_after_ms=1000)
    number = _take_number(connection, acceptance)
    connection.execute(_INSERT, [*(getattr(run, name) for name in _FIELDS), next_check_ms, number])
    entry = InputEntry(
        thread_id=run.thread_id,
        turn=run.turn,
        content=acceptance.content,
        timestamp=acceptance.timestamp,
        client_message_id=run.client_message_id,
    )
    record = History(run.user, run.run_id).record(acceptance.token, [entry])
    connection.execute(INSERT, record_row(run.user, run.run_id, record))
    return Accepted(run, duplicate=False, position=position)


def _made(connection: sqlite3.Connection, wanted: Run) -> Accepted | None:
    """Return what a message made; of one without an id, what the same accept made."""
    if wanted.client_message_id is not None:
        return find(connection, wanted.user, wanted.client_message_id)
    return _found(connection, connection.execute(_GET, (wanted.user, wanted.run_id)).fetchone())


def _found(connection: sqlite3.Connection, row: tuple[Any, ...] | None) -> Accepted | None:
    if row is None:
        return None
    run = run_of(row)
    return Accepted(run, duplicate=True, position=_ahead(connection, run))


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


def _take_number(connection: sqlite3.Connection, acceptance: Acceptance) -> int:
    """Return the number of a message that its user may send now."""
    user, limits = acceptance.run.user, acceptance.limits
    if connection.execute(_SO_MANY_OPEN, (user, limits.open_runs - 1)).fetchone() is not None:
        raise Refused("rate_limited", "Too many messages are being answered.", retry_after_ms=1000)
    number = int(connection.execute(_LAST_NUMBER, (user,)).fetchone()[0] or 0) + 1
    # The first of as many messages as a minute takes: this one fits in when that one is a minute old.
    first = connection.execute(_BY_NUMBER, (user, number - limits.messages_per_minute)).fetchone()
    wait_ms = first[0] + MINUTE_MS - acceptance.run.created_ms if first is not None else 0
    if wait_ms > 0:
        raise Refused("rate_limited", "Too many messages. Slow down.", retry_after_ms=wait_ms)
    return number


def _ahead(connection: sqlite3.Connection, run: Run) -> int:
    """Count the open turns before a run."""
    return int(connection.execute(_AHEAD, (run.user, run.thread_id, run.turn)).fetchone()[0])
