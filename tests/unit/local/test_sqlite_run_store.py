"""What only the SQLite run store promises: what is settled is on the disk, and nothing is kept of what ended."""

import sqlite3
from pathlib import Path

from local.database import Database
from local.sqlite_run_store import SqliteRunStore
from playbyplay.domain.thread import Run, digest
from playbyplay.ports import Acceptance

USER = "ada"
ID = "01a203d5-8dd0-781d-abb1-0112d608286"
NOON = "2026-01-01T12:00:00.000Z"


async def _accepted(store: SqliteRunStore) -> Run:
    wanted = Run(USER, f"{ID}1", f"{ID}2", 0, None, digest("Hi."), 1, 2)
    acceptance = Acceptance(run=wanted, new_thread=True, content="Hi.", timestamp=NOON, token=f"{ID}3")
    return (await store.accept(acceptance)).run


async def test_what_is_settled_is_on_the_disk(tmp_path: Path) -> None:
    """Another reader of the file sees the status as soon as `settle` returns: the job is dropped on its word."""
    database = Database(tmp_path / "d.sqlite3")
    store = SqliteRunStore(database)
    run = await _accepted(store)
    await store.settle(run, "completed")
    with sqlite3.connect(tmp_path / "d.sqlite3") as other:
        assert other.execute("SELECT status FROM runs").fetchall() == [("completed",)]
    other.close()
    await database.close()


async def test_a_cancelled_run_is_forgotten_when_it_has_ended(tmp_path: Path) -> None:
    """Also where its user cancels once more after the end: a long-lived process keeps no list of the dead."""
    database = Database(tmp_path / "d.sqlite3")
    store = SqliteRunStore(database)
    run = await _accepted(store)
    await store.request_cancel(USER, run.run_id)
    assert store.requested(USER, run.run_id).done()
    await store.settle(run, "cancelled")
    await store.request_cancel(USER, run.run_id)
    assert store._cancelled == set()
    assert not store._watches
    await database.close()
