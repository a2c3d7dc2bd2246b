"""What only the SQLite run store promises: what is on the disk, what a start takes up, what every accept costs."""

import sqlite3
from pathlib import Path

from local.database import Database
from local.sqlite_run_store import SqliteRunStore
from playbyplay.domain.thread import Run, digest
from playbyplay.domain.timing import ONE_MACHINE
from playbyplay.ports import Acceptance, Job
from tests.fakes.clock import FakeClock
from tests.fakes.ids import uuid

USER = "ada"
NOON = "2026-01-01T12:00:00.000Z"


async def _accepted(store: SqliteRunStore, number: int = 1) -> Run:
    wanted = Run(USER, uuid(number), uuid(100 + number), 0, None, digest("Hi."), 1, 2)
    acceptance = Acceptance(run=wanted, new_thread=True, content="Hi.", timestamp=NOON, token=uuid(200 + number))
    return (await store.accept(acceptance)).run


async def test_what_is_settled_is_on_the_disk(tmp_path: Path) -> None:
    """Another reader of the file sees the status as soon as `settle` returns: the job is dropped on its word."""
    database = Database(tmp_path / "d.sqlite3")
    store = SqliteRunStore(database, FakeClock())
    run = await _accepted(store)
    await store.settle(run, "completed")
    with sqlite3.connect(tmp_path / "d.sqlite3") as other:
        assert other.execute("SELECT status FROM runs").fetchall() == [("completed",)]
    other.close()
    await database.close()


async def test_a_cancelled_run_is_forgotten_when_it_has_ended(tmp_path: Path) -> None:
    """Also where its user cancels once more after the end: a long-lived process keeps no list of the dead."""
    database = Database(tmp_path / "d.sqlite3")
    store = SqliteRunStore(database, FakeClock())
    run = await _accepted(store)
    await store.request_cancel(USER, run.run_id)
    assert store.requested(USER, run.run_id).done()
    await store.settle(run, "cancelled")
    await store.request_cancel(USER, run.run_id)
    assert store._cancelled == set()
    assert not store._watches
    await database.close()


async def test_a_start_looks_soon_at_all_it_takes_up(tmp_path: Path) -> None:
    """Whatever was noted before: its jobs are sent now, and the first sweep must not send them again."""
    database = Database(tmp_path / "d.sqlite3")
    clock = FakeClock()
    store = SqliteRunStore(database, clock)
    held, late = await _accepted(store, 1), await _accepted(store, 2)
    await store.acquire(USER, held.run_id, "one", now_ms=0, lease_until_ms=clock.now_ms() + 10**9)
    assert await store.recover() == [Job(USER, held.run_id), Job(USER, late.run_id)]
    soon_ms = clock.now_ms() + round(ONE_MACHINE.first_check_s * 1000)
    assert await store.first(now_ms=soon_ms, limit=9) == []
    assert len(await store.first(now_ms=soon_ms + 1, limit=9)) == 2
    taken = await store.get(USER, held.run_id)
    assert taken is not None
    assert taken.owner is None
    await database.close()


async def test_no_question_goes_through_all_runs(tmp_path: Path) -> None:
    """What every accept, renewal and sweep asks is a range of an index, however many runs are kept."""
    database = Database(tmp_path / "d.sqlite3")
    store = SqliteRunStore(database, FakeClock())
    asked: list[str] = []
    await database.write(lambda connection: connection.set_trace_callback(asked.append))
    database._reader.set_trace_callback(asked.append)
    run = await _accepted(store, 1)
    await store.acquire(USER, run.run_id, "one", now_ms=0, lease_until_ms=5)
    await store.renew(USER, run.run_id, "one", lease_until_ms=6, reset_attempts=True)
    await store.postpone(USER, run.run_id, until_ms=9)
    await store.open_runs(USER, limit=9)
    await store.settle(run, "completed")
    await store.first(now_ms=9, limit=9)
    await store.between(from_ms=0, to_ms=9, limit=9)
    await database.write(lambda connection: connection.set_trace_callback(None))
    database._reader.set_trace_callback(None)
    questions = [sql for sql in asked if "runs" in sql and not sql.lstrip().startswith("INSERT")]
    assert len(questions) >= 11
    for sql in questions:
        plan = [row[3] for row in database.read(f"EXPLAIN QUERY PLAN {sql}")]
        assert all(step.startswith(("SEARCH", "SCALAR", "CO-ROUTINE")) for step in plan), (sql, plan)
        if "run_id =" not in sql:
            assert all("PRIMARY KEY" not in step for step in plan), (sql, plan)
    await database.close()
