"""The tables of the one-machine home; a file that an earlier version made gets what it lacks when it is opened."""

import sqlite3

_OPEN = "status IN ('queued', 'running')"
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    user TEXT NOT NULL, run_id TEXT NOT NULL, thread_id TEXT NOT NULL, turn INTEGER NOT NULL,
    client_message_id TEXT, content_digest TEXT NOT NULL, created_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,
    status TEXT NOT NULL, owner TEXT, lease_until_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
    cancel INTEGER NOT NULL,
    next_check_ms INTEGER NOT NULL DEFAULT 0, -- when the watchdog looks at it, while it is open
    number INTEGER, -- of the messages of its user; NULL in a row that knows none
    ended_ms INTEGER, -- when its end was noted; NULL while it is open, and where an earlier version ended it
    PRIMARY KEY (user, run_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS threads (
    user TEXT NOT NULL, thread_id TEXT NOT NULL, next_turn INTEGER NOT NULL, PRIMARY KEY (user, thread_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
    user TEXT NOT NULL, run_id TEXT NOT NULL, pos INTEGER NOT NULL, epoch INTEGER NOT NULL, token TEXT NOT NULL,
    last_seq INTEGER NOT NULL, entries TEXT NOT NULL,
    PRIMARY KEY (user, run_id, pos)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS connections (
    connection_id TEXT PRIMARY KEY, user TEXT NOT NULL, opened_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
    lagging INTEGER NOT NULL,
    receipts TEXT NOT NULL DEFAULT '{}', -- the last seq it said it holds, by run, in JSON
    received_ms INTEGER NOT NULL DEFAULT 0 -- when it said so last
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS departures (
    user TEXT PRIMARY KEY, left_ms INTEGER NOT NULL -- when a connection of the user left last
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tickets (
    digest TEXT PRIMARY KEY, user TEXT NOT NULL, origin TEXT, expires_ms INTEGER NOT NULL,
    session_expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""
# What a file may lack. An open run without a time to be looked at is looked at by the first sweep.
_ADDED = (
    ("runs", "next_check_ms", "INTEGER NOT NULL DEFAULT 0"),
    ("runs", "number", "INTEGER"),
    ("runs", "ended_ms", "INTEGER"),
    ("connections", "receipts", "TEXT NOT NULL DEFAULT '{}'"),
    ("connections", "received_ms", "INTEGER NOT NULL DEFAULT 0"),
)
_INDEXES = f"""
CREATE UNIQUE INDEX IF NOT EXISTS runs_by_message ON runs (user, client_message_id)
    WHERE client_message_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS runs_by_turn ON runs (user, thread_id, turn);
CREATE UNIQUE INDEX IF NOT EXISTS runs_by_number ON runs (user, number) WHERE number IS NOT NULL;
CREATE INDEX IF NOT EXISTS open_runs ON runs (user, created_ms) WHERE {_OPEN};
CREATE INDEX IF NOT EXISTS open_turns ON runs (user, thread_id, turn) WHERE {_OPEN};
CREATE INDEX IF NOT EXISTS open_checks ON runs (next_check_ms) WHERE {_OPEN};
CREATE INDEX IF NOT EXISTS ended_runs ON runs (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX IF NOT EXISTS connections_by_user ON connections (user, opened_ms);
CREATE INDEX IF NOT EXISTS connections_by_end ON connections (expires_ms);
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Make what is missing; a process that falls in between leaves the rest to the next.

    Raises:
        sqlite3.Error: the file is no database, or cannot be written.
    """
    connection.executescript(_TABLES)
    for table, column, kind in _ADDED:
        there = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        if column not in there:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    connection.executescript(_INDEXES)
