"""The tables: a file of an earlier version gets what it lacks, and what it holds stays."""

import json
import sqlite3
from pathlib import Path

import pytest

from local.database import Database
from local.schema import prepare
from local.sqlite_connection_store import SqliteConnectionStore
from local.sqlite_run_store import SqliteRunStore
from playbyplay.domain.connection import Session
from playbyplay.domain.thread import Run, digest
from playbyplay.errors import Refused
from playbyplay.ports import Acceptance, Job, Limits
from tests.fakes.clock import FakeClock
from tests.fakes.ids import uuid
from tests.histories import MESSAGE, THREAD, TIME, USER

BEFORE_THE_WATCHDOG = """
CREATE TABLE runs (
    user TEXT NOT NULL, run_id TEXT NOT NULL, thread_id TEXT NOT NULL, turn INTEGER NOT NULL,
    client_message_id TEXT, content_digest TEXT NOT NULL, created_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,
    status TEXT NOT NULL, owner TEXT, lease_until_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
    cancel INTEGER NOT NULL,
    PRIMARY KEY (user, run_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX runs_by_message ON runs (user, client_message_id) WHERE client_message_id IS NOT NULL;
CREATE UNIQUE INDEX runs_by_turn ON runs (user, thread_id, turn);
CREATE INDEX open_runs ON runs (user, created_ms) WHERE status IN ('queued', 'running');
CREATE INDEX open_turns ON runs (user, thread_id, turn) WHERE status IN ('queued', 'running');
CREATE TABLE threads (
    user TEXT NOT NULL, thread_id TEXT NOT NULL, next_turn INTEGER NOT NULL, PRIMARY KEY (user, thread_id)
) WITHOUT ROWID;
CREATE TABLE journal (
    user TEXT NOT NULL, run_id TEXT NOT NULL, pos INTEGER NOT NULL, epoch INTEGER NOT NULL, token TEXT NOT NULL,
    last_seq INTEGER NOT NULL, entries TEXT NOT NULL,
    PRIMARY KEY (user, run_id, pos)
) WITHOUT ROWID;
CREATE TABLE connections (
    connection_id TEXT PRIMARY KEY, user TEXT NOT NULL, opened_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
    lagging INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX connections_by_user ON connections (user, opened_ms);
CREATE TABLE tickets (
    digest TEXT PRIMARY KEY, user TEXT NOT NULL, origin TEXT, expires_ms INTEGER NOT NULL,
    session_expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""
NOW = 1_750_000_000_000


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Make a file as the version before the watchdog made it: a turn that has ended, and one that waits."""
    path = tmp_path / "d.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.executescript(BEFORE_THE_WATCHDOG)
        for turn, status, message in ((1, "completed", MESSAGE), (2, "queued", None)):
            row = (USER, uuid(turn), THREAD, turn, message, digest("Hi."), NOW, NOW + 9_000, status)
            connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, 0, 0, 0)", row)
        connection.execute("INSERT INTO threads VALUES (?, ?, 3)", (USER, THREAD))
    connection.close()
    return path


def _acceptance(number: int, limits: Limits) -> Acceptance:
    run = Run(USER, uuid(number), THREAD, 0, None, digest("Hi."), NOW + number, NOW + 9_000)
    return Acceptance(run, new_thread=False, content="Hi.", timestamp=TIME, token=uuid(900 + number), limits=limits)


async def test_a_file_of_an_earlier_version_goes_on(old: Path) -> None:
    """What it holds is found and looked at, its threads take turns, and the new limits hold."""
    for _start in range(2):
        database = Database(old)
        store = SqliteRunStore(database, FakeClock())
        waiting = await store.get(USER, uuid(2))
        assert waiting is not None
        assert (waiting.turn, waiting.status) == (2, "queued")
        assert await store.first(now_ms=1, limit=9) == [Job(USER, uuid(2))]
        assert await store.between(from_ms=0, to_ms=10**13, limit=9) == []  # when the first turn ended nobody knows
        found = await store.find(USER, MESSAGE)
        assert found is not None
        assert found.run.run_id == uuid(1)
        await database.close()

    database = Database(old)
    store = SqliteRunStore(database, FakeClock())
    limits = Limits(messages_per_minute=2)
    made = [await store.accept(_acceptance(number, limits)) for number in (10, 11)]
    assert [(one.run.turn, one.position) for one in made] == [(3, 1), (4, 2)]
    with pytest.raises(Refused, match="rate_limited"):
        await store.accept(_acceptance(12, limits))
    connections = SqliteConnectionStore(database, FakeClock())
    await connections.add("one", Session(USER, NOW), now_ms=0)
    await connections.receive("one", {uuid(2): 3}, now_ms=NOW)
    ((receipts,),) = await database.apply(
        lambda connection: connection.execute("SELECT receipts FROM connections").fetchall()
    )
    assert json.loads(receipts) == {uuid(2): 3}
    await store.settle(made[0].run, "completed")
    assert await store.between(from_ms=0, to_ms=10**13, limit=9) == [Job(USER, uuid(10))]
    await connections.remove("one")
    assert await connections.left_ms(USER) is not None
    await database.close()


@pytest.mark.parametrize("statements", range(1, 30))
def test_a_start_that_was_cut_off_is_finished_by_the_next(statements: int) -> None:
    """A file that got only a part of what it lacks gets the rest, and is then as a new one."""
    ran = 0

    def cut_off(_statement: str) -> None:
        nonlocal ran
        ran += 1
        if ran > statements:
            connection.interrupt()

    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(BEFORE_THE_WATCHDOG)
    connection.set_trace_callback(cut_off)
    with pytest.raises(sqlite3.OperationalError):
        prepare(connection)
    connection.set_trace_callback(None)
    prepare(connection)
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    prepare(fresh)
    assert _shape(connection) == _shape(fresh)
    connection.close()
    fresh.close()


def _shape(connection: sqlite3.Connection) -> list[object]:
    """Return the columns of every table, and of every index in their order."""
    columns = connection.execute(
        "SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c ORDER BY 1, 2"
    )
    indexed = connection.execute(
        "SELECT m.name, i.seqno, i.name FROM sqlite_master m, pragma_index_info(m.name) i ORDER BY 1, 2"
    )
    return [*columns, *indexed]
